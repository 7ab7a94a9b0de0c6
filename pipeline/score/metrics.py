"""Metrics of a detector; out-of-distribution (OOD) is the positive class, larger scores mean more outlier.

All of them come from one sort: how many ID and how many OOD images have each distinct score.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ScoreError

Array = NDArray[np.float64]


class Metrics(NamedTuple):
    """All in 0..1."""

    auroc: float
    fpr95_ood_pos: float
    """Share of ID flagged when 95 % of OOD is caught (OpenOOD's convention; the headline)."""
    fpr95_id_pos: float
    """Share of OOD accepted when 95 % of ID is."""
    aupr_in: float
    """Average precision with ID as the positive class."""
    aupr_out: float
    """Average precision with OOD as the positive class."""
    aupr_in_trapezoid: float
    """Area under the straight lines between the points of that curve, from precision 1 at recall 0 (OpenOOD's way)."""
    aupr_out_trapezoid: float
    tie_fraction: float
    """Share of pairs of an ID and an OOD image with the same score; each counts half in AUROC."""


class Curve(NamedTuple):
    """A ROC curve, OOD positive, from (0, 0) to (1, 1)."""

    fpr: Array
    tpr: Array


class Counts(NamedTuple):
    """Images per distinct score, the smallest score first."""

    known: NDArray[np.int64]  # (t,)
    unknown: NDArray[np.int64]  # (t,)


def metrics(known: Array, unknown: Array) -> Metrics:
    """Return every metric of the scores of ID images (n,) and OOD images (m,).

    Ties count half in AUROC. Raises ScoreError when a side is empty or a score is not finite.
    """
    ids, oods = counted(known, unknown)
    pairs = float(len(known)) * float(len(unknown))
    below = np.cumsum(ids) - ids / 2
    precision_in, precision_out = _precision_recall(ids, oods), _precision_recall(oods[::-1], ids[::-1])
    return Metrics(
        auroc=float(np.dot(oods, below)) / pairs,
        fpr95_ood_pos=_accepted(oods[::-1], ids[::-1]),
        fpr95_id_pos=_accepted(ids, oods),
        aupr_in=_average_precision(*precision_in),
        aupr_out=_average_precision(*precision_out),
        aupr_in_trapezoid=_trapezoid(*precision_in),
        aupr_out_trapezoid=_trapezoid(*precision_out),
        tie_fraction=float(np.dot(ids.astype(np.float64), oods)) / pairs,
    )


def roc(known: Array, unknown: Array) -> Curve:
    """Return the ROC curve of the scores of ID images (n,) and OOD images (m,), one point per distinct score."""
    counts = counted(known, unknown)
    fpr, tpr = (np.concatenate([[0.0], np.cumsum(side[::-1]) / side.sum()]) for side in counts)
    return Curve(fpr, tpr)


def counted(known: Array, unknown: Array) -> Counts:
    """Return how many images of each side have each distinct score.

    Raises ScoreError unless both sides have scores and all are finite.
    """
    check_scores(known, unknown)
    scores = np.concatenate([np.sort(known), np.sort(unknown)])
    order = np.argsort(scores, kind="stable")  # merges two sorted runs
    last = np.flatnonzero(np.append(np.diff(scores[order]) > 0, True))  # of equal scores
    del scores
    below = np.cumsum(order >= len(known))[last]
    unknown_counts = np.diff(below, prepend=0)
    return Counts(np.diff(last + 1, prepend=0) - unknown_counts, unknown_counts)


def check_scores(known: Array, unknown: Array) -> None:
    """Raise ScoreError unless both sides have scores and all are finite."""
    for side, scores in (("ID", known), ("OOD", unknown)):
        if not len(scores):
            raise ScoreError(f"{side} scores: found none, wanted one or more; a metric compares two sides.")
        if broken := int((~np.isfinite(scores)).sum()):
            raise ScoreError(f"{side} scores: {broken} of {len(scores)} are not finite, wanted all; drop or mend them.")


def _accepted(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> float:
    """Return the share of negatives taken with the first scores that take at least 95 % of the positives.

    positives, negatives: images per distinct score, in the order in which a threshold takes them in.
    """
    taken = np.cumsum(positives)
    enough = int(np.searchsorted(taken * 20, 19 * taken[-1]))  # whole numbers: 0.95 * 20 is not 19 in floating point
    return float(negatives[: enough + 1].sum() / negatives.sum())


def _precision_recall(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return precision and recall at each threshold, from the strictest on."""
    hits = np.cumsum(positives)
    return hits / (hits + np.cumsum(negatives)), hits / hits[-1]


def _average_precision(precision: Array, recall: Array) -> float:
    """Return the sum of precision times the recall gained at each threshold."""
    return float(np.dot(np.diff(recall, prepend=0), precision))


def _trapezoid(precision: Array, recall: Array) -> float:
    """Return the area under straight lines between the points, starting at precision 1 and recall 0."""
    return float(np.trapezoid(np.append(1.0, precision), np.append(0.0, recall)))
