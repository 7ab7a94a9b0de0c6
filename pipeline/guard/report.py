"""Read `reports/guard.json`, which says which image sets were compared and what was found."""

from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.reports import read_report

GUARD_FORMAT = "latent-outliers-guard/1"


def read_guard(path: Path) -> dict[str, Any]:
    """Return the report of a guard that found no leak.

    sets: of each image set by name, how many `images` there are, and how many of them repeat an earlier one
    (`duplicates_within`). files: of each source that is a folder, how many files were `found`, and how many of them are
    in each of the `sets`, `beyond_limits`, `in_no_set` and `skipped` by reason, which add up; and how many pictures are
    `repeated`. shared: of each two sets that have pictures in common, their names `a` and `b`, how many
    `images`, and `examples` [row of a, row of b]. near_duplicates: the `limit` in standardised latents, and of each of
    the `sets` how many `images` are nearer to an ID training image than it, the distance of the `nearest`, and
    `examples` [row, row of id_train, distance].

    Raises PipelineError when there is none, or it is damaged or of another format.
    """
    report = read_report(path, GUARD_FORMAT, "guard")
    if absent := {"sets", "files", "shared", "near_duplicates"} - report.keys():
        raise PipelineError(f"{path}: it lacks {', '.join(sorted(absent))}; run `dvc repro --force guard`.")
    return report
