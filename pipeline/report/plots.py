"""Write the data of `dvc plots`: ROC curves and score histograms as CSV, one file per OOD set."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.params.infer import ScoreName
from pipeline.posthoc.metrics import roc
from pipeline.posthoc.table import SIDES, ScoreTable

FPR_GRID = np.linspace(0, 1, 101)
BINS = 40
ROC, HISTOGRAM = ("id_flagged", *SIDES), ("score", "id_test", "ood")
EMPTY = "none.csv"


def write_plots(folder: Path, table: ScoreTable, sets: list[str], score: ScoreName) -> None:
    """Write `roc/<set>.csv` and `histogram/<set>.csv` of one score for each set, all seeds together.

    Without any set, both folders hold a file with a header only, since DVC complains of a missing folder.
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
    id_scores, ood_scores = (table.scores[side, image_set, score] for image_set in ("id_test", name))
    curves = [roc(*seed_scores) for seed_scores in zip(id_scores, ood_scores, strict=True)]
    return np.asarray(np.mean([np.interp(FPR_GRID, curve.fpr, curve.tpr) for curve in curves], axis=0))


def histogram(table: ScoreTable, name: str, score: ScoreName) -> Iterable[tuple[float, ...]]:
    """Return for each bin its middle and the shares of ID test and of OOD images in it."""
    id_scores, ood_scores = (table.scores["detector", image_set, score].ravel() for image_set in ("id_test", name))
    edges = np.linspace(min(id_scores.min(), ood_scores.min()), max(id_scores.max(), ood_scores.max()), BINS + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for values in (id_scores, ood_scores)]
    return zip((edges[1:] + edges[:-1]) / 2, *shares, strict=True)


def _write(path: Path, header: tuple[str, ...], rows: Iterable[Iterable[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([f"{value:.6g}" for value in row] for row in rows)
