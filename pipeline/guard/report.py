"""Read `reports/guard.json`, which says which image sets were compared and what was found."""

import json
from pathlib import Path
from typing import Any

from pipeline.errors import MissingInputError, PipelineError

GUARD_FORMAT = "latent-outliers-guard/1"


def read_guard(path: Path) -> dict[str, Any]:
    """Return the report of a guard that found no leak.

    sets: of each image set by name, how many `images` there are, and how many of them repeat an earlier one
    (`duplicates_within`). shared: of each two sets that have pictures in common, their names `a` and `b`, how many
    `images`, and `examples` [row of a, row of b]. near_duplicates: the `limit` in standardised latents, and of each of
    the `sets` how many `images` are nearer to an ID training image than it, the distance of the `nearest`, and
    `examples` [row, row of id_train, distance].

    Raises MissingInputError when there is none, and PipelineError when it is damaged or of another format.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_bytes())
        found = report.get("format")
        if found == GUARD_FORMAT and (absent := {"sets", "shared", "near_duplicates"} - report.keys()):
            raise ValueError(f"it lacks {', '.join(sorted(absent))}")  # noqa: TRY301  # told like other damage
    except FileNotFoundError as error:
        raise MissingInputError(path) from error
    except (ValueError, AttributeError) as error:
        raise PipelineError(f"{path}: found no report in it ({error}); run `dvc repro --force guard`.") from error
    if found != GUARD_FORMAT:
        raise PipelineError(f"{path}: its format is {found!r}, wanted {GUARD_FORMAT!r}; run `dvc repro guard`.")
    return report
