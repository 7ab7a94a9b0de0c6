"""Metrics of a detector; out-of-distribution (OOD) is the positive class, larger scores mean more outlier."""

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


class Curve(NamedTuple):
    """A ROC curve, OOD positive, from (0, 0) to (1, 1)."""

    fpr: Array
    tpr: Array


def metrics(known: Array, unknown: Array) -> Metrics:
    """Return every metric of the scores of ID images (n,) and OOD images (m,).

    Ties count half in AUROC. Raises ScoreError when a side is empty or a score is not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    check_scores(known, unknown)
    is_ood = np.concatenate([np.zeros(len(known)), np.ones(len(unknown))])
    scores = np.concatenate([known, unknown])
    return Metrics(
        auroc=float(roc_auc_score(is_ood, scores)),
        fpr95_ood_pos=false_positive_rate(known, unknown),
        fpr95_id_pos=false_positive_rate(-unknown, -known),
        aupr_in=float(average_precision_score(1 - is_ood, -scores)),
        aupr_out=float(average_precision_score(is_ood, scores)),
    )


def false_positive_rate(negative: Array, positive: Array, recall: float = 0.95) -> float:
    """Return the share of negatives at or above the highest threshold that at least `recall` of positives reach."""
    kept = int(np.ceil(recall * len(positive) - 1e-9))  # 0.95 * 20 is 19, whatever float says
    threshold = np.sort(positive)[::-1][max(kept, 1) - 1]
    return float((negative >= threshold).mean())


def roc(known: Array, unknown: Array) -> Curve:
    """Return the ROC curve of the scores of ID images (n,) and OOD images (m,)."""
    from sklearn.metrics import roc_curve

    check_scores(known, unknown)
    is_ood = np.concatenate([np.zeros(len(known)), np.ones(len(unknown))])
    fpr, tpr, _ = roc_curve(is_ood, np.concatenate([known, unknown]))
    return Curve(fpr, tpr)


def check_scores(known: Array, unknown: Array) -> None:
    """Raise ScoreError unless both sides have scores and all are finite."""
    for side, scores in (("ID", known), ("OOD", unknown)):
        if not len(scores):
            raise ScoreError(f"{side} scores: found none, wanted one or more; a metric compares two sides.")
        if broken := int((~np.isfinite(scores)).sum()):
            raise ScoreError(
                f"{side} scores: {broken} of {len(scores)} are not finite, wanted all. The network diverged: lower "
                f"train.optimiser.learning_rate or teacher.optimiser.learning_rate."
            )
