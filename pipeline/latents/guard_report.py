"""Read `reports/guard.json`: which image sets were compared, and the result."""

from pathlib import Path
from typing import Any

from pipeline.runtime.errors import PipelineError
from pipeline.runtime.report_file import read_report

GUARD_FORMAT = "latent-outliers-guard/2"


def read_guard(path: Path) -> dict[str, Any]:
    """Return the report of a guard that found no leak.

    sets: for each image set, the number of `images`, and how many of them repeat an earlier one (`duplicates_within`).

    files: for each source that counts its files (or rows, by `unit`), the number `found`. It is the sum of those in
    each of the `sets`, `beyond_limits`, `in_no_set` and `skipped` by reason. `repeated` is the number of repeated
    pictures. If it is there, `faint` is the number of pictures that use at most an eighth of 16 bits.

    shared: for each two sets with pictures in common, their names `a` and `b`, the number of `images`, and `examples`
    [row of a, row of b].

    near_duplicates: the `limit` in standardised latents. For each of the `sets`, the number of `images` that are nearer
    than that to an ID training image, and `examples` [row, row of id_train, distance], the nearest first.

    Raises PipelineError when the report is missing, damaged or of another format.
    """
    report = read_report(path, GUARD_FORMAT, "guard")
    if absent := {"sets", "files", "shared", "near_duplicates"} - report.keys():
        raise PipelineError(f"{path}: it lacks {', '.join(sorted(absent))}; run `dvc repro --force guard`.")
    return report
