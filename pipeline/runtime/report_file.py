"""Read the JSON report of a stage, and check its format."""

import json
from pathlib import Path
from typing import Any

from pipeline.runtime.errors import PipelineError


def read_report(path: Path, wanted: str, stage: str) -> dict[str, Any]:
    """Return the content of a stage's report; raises PipelineError unless its format is `wanted`."""
    try:
        report: dict[str, Any] = json.loads(path.read_bytes())
        found_format = report.get("format")
    except FileNotFoundError as error:
        raise PipelineError(f"{path}: not found; run `dvc repro` or `make repro` to make it.") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise PipelineError(
            f"{path}: found no report in it ({error}), wanted JSON; run `dvc repro --force {stage}`."
        ) from error
    if found_format != wanted:
        raise PipelineError(f"{path}: its format is {found_format!r}, wanted {wanted!r}; run `dvc repro {stage}`.")
    return report
