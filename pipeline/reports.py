"""Read the JSON report of a stage: whole, and of the format that is wanted."""

import json
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError


def read_report(path: Path, wanted: str, stage: str) -> dict[str, Any]:
    """Return the content of a stage's report; raises PipelineError unless it has the format that is wanted."""
    try:
        report: dict[str, Any] = json.loads(path.read_bytes())
        found = report.get("format")
    except FileNotFoundError as error:
        raise PipelineError(f"{path}: not found; run `dvc repro` or `make repro` to make it.") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise PipelineError(f"{path}: found no report in it ({error}); run `dvc repro --force {stage}`.") from error
    if found != wanted:
        raise PipelineError(f"{path}: its format is {found!r}, wanted {wanted!r}; run `dvc repro {stage}`.")
    return report
