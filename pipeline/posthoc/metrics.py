"""Metrics of a detector. Out-of-distribution (OOD) is the positive class; a larger score means more outlier.

All metrics come from one sort, which counts the ID and OOD images at each distinct score.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.errors import ScoreError

Array = NDArray[np.float64]


class Metrics(NamedTuple):
    """The metrics of a detector, all between 0 and 1."""

    auroc: float
    fpr95_ood_pos: float
    """Share of ID flagged when 95 % of OOD is caught (OpenOOD's convention, used as the headline)."""
    fpr95_id_pos: float
    """Share of OOD accepted when 95 % of ID is accepted."""
    aupr_in: float
    """Average precision with ID as the positive class."""
    aupr_out: float
    """Average precision with OOD as the positive class."""
    aupr_in_trapezoid: float
    """Area under the precision-recall curve of `aupr_in` by the trapezoid rule, as in OpenOOD.

    The curve starts at precision 1 and recall 0.
    """
    aupr_out_trapezoid: float
    """The same for `aupr_out`."""
    tie_fraction: float
    """Share of pairs of an ID and an OOD image with the same score; each counts half in AUROC."""


class Curve(NamedTuple):
    """A ROC curve from (0, 0) to (1, 1), with OOD as the positive class."""

    fpr: Array
    tpr: Array


class ScoreCounts(NamedTuple):
    """Number of ID and OOD images at each of t distinct scores, in ascending order of score."""

    id_images: NDArray[np.int64]  # (t,)
    ood_images: NDArray[np.int64]  # (t,)


def metrics(id_scores: Array, ood_scores: Array) -> Metrics:
    """Return all metrics for the scores of ID images (n,) and OOD images (m,).

    Ties count half in AUROC. Raises ScoreError when a side is empty or a score is not finite.
    """
    id_images, ood_images = count_images_per_score(id_scores, ood_scores)
    pairs = float(len(id_scores)) * float(len(ood_scores))
    id_below = np.cumsum(id_images) - id_images / 2
    curve_in = _precision_recall(id_images, ood_images)
    curve_out = _precision_recall(ood_images[::-1], id_images[::-1])
    return Metrics(
        auroc=float(np.dot(ood_images, id_below)) / pairs,
        fpr95_ood_pos=_accepted(ood_images[::-1], id_images[::-1]),
        fpr95_id_pos=_accepted(id_images, ood_images),
        aupr_in=_average_precision(*curve_in),
        aupr_out=_average_precision(*curve_out),
        aupr_in_trapezoid=_trapezoid(*curve_in),
        aupr_out_trapezoid=_trapezoid(*curve_out),
        tie_fraction=float(np.dot(id_images.astype(np.float64), ood_images)) / pairs,
    )


def roc(id_scores: Array, ood_scores: Array) -> Curve:
    """Return the ROC curve for the scores of ID images (n,) and OOD images (m,), one point per distinct score."""
    counts = count_images_per_score(id_scores, ood_scores)
    fpr, tpr = (np.concatenate([[0.0], np.cumsum(side[::-1]) / side.sum()]) for side in counts)
    return Curve(fpr, tpr)


def count_images_per_score(id_scores: Array, ood_scores: Array) -> ScoreCounts:
    """Count the ID and OOD images at each distinct score.

    Raises ScoreError unless both sides have scores and all are finite.
    """
    check_scores(id_scores, ood_scores)
    scores = np.concatenate([np.sort(id_scores), np.sort(ood_scores)])
    order = np.argsort(scores, kind="stable")  # merges two sorted runs
    last = np.flatnonzero(np.append(np.diff(scores[order]) > 0, True))  # the last position of each distinct score
    del scores
    ood_up_to = np.cumsum(order >= len(id_scores))[last]  # OOD images with at most each distinct score
    ood_images = np.diff(ood_up_to, prepend=0)
    return ScoreCounts(np.diff(last + 1, prepend=0) - ood_images, ood_images)


def check_scores(id_scores: Array, ood_scores: Array) -> None:
    """Raise ScoreError unless both sides have scores and all are finite."""
    for side, scores in (("ID", id_scores), ("OOD", ood_scores)):
        if not len(scores):
            raise ScoreError(f"{side} scores: found none, wanted one or more; a metric compares two sides.")
        if broken := int((~np.isfinite(scores)).sum()):
            raise ScoreError(f"{side} scores: {broken} of {len(scores)} are not finite, wanted all; drop or mend them.")


def _accepted(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> float:
    """Return the share of negatives accepted by the strictest threshold that accepts at least 95 % of the positives.

    positives, negatives: images per distinct score, in the order in which a loosening threshold accepts them.
    """
    accepted = np.cumsum(positives)
    last = int(np.searchsorted(accepted * 20, 19 * accepted[-1]))  # integers: 0.95 * 20 is not 19 in floating point
    return float(negatives[: last + 1].sum() / negatives.sum())


def _precision_recall(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return precision and recall at each threshold, the strictest first."""
    hits = np.cumsum(positives)
    return hits / (hits + np.cumsum(negatives)), hits / hits[-1]


def _average_precision(precision: Array, recall: Array) -> float:
    """Return the sum of precision times the recall gained at each threshold."""
    return float(np.dot(np.diff(recall, prepend=0), precision))


def _trapezoid(precision: Array, recall: Array) -> float:
    """Return the area under the curve by the trapezoid rule, starting at precision 1 and recall 0."""
    return float(np.trapezoid(np.append(1.0, precision), np.append(0.0, recall)))
