"""Write what `dvc plots` draws: ROC curves and score histograms as CSV, one file per OOD set."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.infer.params import ScoreName
from pipeline.infer.table import SIDES, ScoreTable
from pipeline.score.metrics import roc

FPR_GRID = np.linspace(0, 1, 101)
BINS = 40
ROC, HISTOGRAM = ("id_flagged", *SIDES), ("score", "id_test", "ood")
EMPTY = "none.csv"


def write_plots(folder: Path, table: ScoreTable, sets: list[str], score: ScoreName) -> None:
    """Write `roc/<set>.csv` and `histogram/<set>.csv` for the score called `score`, all seeds together.

    Without any set both folders hold a file without lines, since DVC complains of a folder that is not there.
    """
    for name in sets:
        curves = [mean_roc(table, side, name, score) for side in SIDES]
        _write(folder / "roc" / f"{name}.csv", ROC, zip(FPR_GRID, *curves, strict=True))
        _write(folder / "histogram" / f"{name}.csv", HISTOGRAM, histogram(table, name, score))
    if not sets:
        _write(folder / "roc" / EMPTY, ROC, [])
        _write(folder / "histogram" / EMPTY, HISTOGRAM, [])


def mean_roc(table: ScoreTable, side: str, name: str, score: ScoreName) -> NDArray[np.float64]:
    """Return the share of OOD caught at each share of ID flagged, averaged over the seeds (vertical averaging)."""
    known, unknown = (table.scores[side, which, score] for which in ("id_test", name))
    curves = [roc(*rows) for rows in zip(known, unknown, strict=True)]
    return np.asarray(np.mean([np.interp(FPR_GRID, curve.fpr, curve.tpr) for curve in curves], axis=0))


def histogram(table: ScoreTable, name: str, score: ScoreName) -> Iterable[tuple[float, ...]]:
    """Return the middle of each bin and the share of ID test and of OOD images in it."""
    known, unknown = (table.scores["detector", which, score].ravel() for which in ("id_test", name))
    edges = np.linspace(min(known.min(), unknown.min()), max(known.max(), unknown.max()), BINS + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for values in (known, unknown)]
    return zip((edges[1:] + edges[:-1]) / 2, *shares, strict=True)


def _write(path: Path, header: tuple[str, ...], rows: Iterable[Iterable[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([f"{value:.6g}" for value in row] for row in rows)
