"""How each ID class fares: which classes its test images are taken for, and how many of them are rejected."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.posthoc.decision import Decision
from pipeline.posthoc.table import ScoreTable
from pipeline.report.hardest import ID_TEST

Json = dict[str, Any]


def confusion(table: ScoreTable) -> NDArray[np.float64]:  # (k, k)
    """Return what share of the ID test images of each class (line) the detectors take for each class (column).

    Means over the seeds. A class without test images has a line of zeros.
    """
    labels, classes = table.labels[ID_TEST], len(table.class_names)
    counted = np.zeros((classes, classes))
    for predicted in table.predicted["detector", ID_TEST]:
        np.add.at(counted, (labels, predicted), 1)
    shares: NDArray[np.float64] = counted / np.maximum(counted.sum(1, keepdims=True), 1)
    return shares


def class_figures(table: ScoreTable, decisions: list[Decision]) -> Json:
    """Return the section `classes` of `metrics.json`: of each class what its ID test images come to.

    images: their number. named_rightly, rejected: shares, means over the seeds; null without images. taken_for: the
    other class that most of those named wrongly are taken for; null where none is.
    """
    shares, labels = confusion(table), table.labels[ID_TEST]
    scores = table.scores["detector", ID_TEST, decisions[0].score]
    above = np.mean([row > decision.threshold for row, decision in zip(scores, decisions, strict=True)], axis=0)
    return {
        name: _figures(label, labels == label, shares[label], above, table.class_names)
        for label, name in enumerate(table.class_names)
    }


def _figures(
    label: int,
    belongs: NDArray[np.bool_],  # (n,) which ID test images are of this class
    shares: NDArray[np.float64],  # (k,) taken for each class
    above: NDArray[np.float64],  # (n,) share of the detectors that reject an image
    names: tuple[str, ...],
) -> Json:
    images = int(belongs.sum())
    if not images:
        return {"images": 0, "named_rightly": None, "rejected": None, "taken_for": None}
    wrongly = np.where(np.arange(len(names)) == label, 0.0, shares)
    return {
        "images": images,
        "named_rightly": float(shares[label]),
        "rejected": float(above[belongs].mean()),
        "taken_for": names[int(wrongly.argmax())] if wrongly.any() else None,
    }
