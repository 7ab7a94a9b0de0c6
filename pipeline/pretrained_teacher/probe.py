"""A linear probe: logits of the ID classes from the features of a classifier that was taught other classes."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.device import UNIT_THREADS
from pipeline.errors import ModelError

FOLDS = 5
MOST_STEPS = 10_000
"""Of the solver. On standardised features it takes hundreds at most, so not to end is a fault worth an error."""


class Probe(NamedTuple):
    """What the probe says, and how well it does on images it has not seen."""

    logits: NDArray[np.float64]  # (n, k)
    folds: int
    accuracy: float | None


def linear_probe(
    features: NDArray[np.float32],  # (n, d)
    labels: NDArray[np.int32],  # (n,) in 0..k-1, k > 1, every class there
    c: float,
) -> Probe:
    """Fit a multinomial logistic regression on standardised features, and return its logits of the same rows.

        minimise over w, b:  c sum_i -log softmax(w z_i + b)[label_i] + |w|² / 2,   z = (features - mean) / std

    Two classes have one log-odds o there; their logits are (-o / 2, o / 2), whose soft-max is the same.
    The accuracy is that of the stratified folds in the order of the rows: FOLDS, or the size of the smallest class
    where that is less; a class of one image leaves none.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from threadpoolctl import threadpool_limits

    folds = min(FOLDS, int(np.bincount(labels).min()))
    values, accuracy = features.astype(np.float64), None
    with warnings.catch_warnings(), threadpool_limits(UNIT_THREADS):  # not the number of cores
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fitted = _pipeline(c).fit(values, labels)
            if folds > 1:
                accuracy = float(cross_val_score(_pipeline(c), values, labels, cv=StratifiedKFold(folds)).mean())
        except ConvergenceWarning as error:
            raise ModelError(
                f"the linear probe did not converge in {MOST_STEPS} steps. "
                f"Lower pretrained_teacher.probe_c, which is {c}."
            ) from error
    return Probe(_two_sided(fitted.decision_function(values)), folds if folds > 1 else 0, accuracy)


def _pipeline(c: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=MOST_STEPS))


def _two_sided(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores of k > 2 classes as they are, and the log-odds of two classes as a column for each."""
    return np.stack([-scores / 2, scores / 2], axis=1) if scores.ndim == 1 else scores
