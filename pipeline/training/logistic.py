"""Logistic regression: logits of the ID classes from features that were learnt elsewhere."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.device import UNIT_THREADS
from pipeline.runtime.errors import ModelError

Floats = NDArray[np.float64]
FOLDS = 5
PENALTIES = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
"""Values of C, the inverse of the penalty, among which ID validation can choose."""
MOST_STEPS = 10_000
"""Limit of the solver's steps. On standardised features it takes hundreds at most; to reach the limit is an error."""


class LogisticFit(NamedTuple):
    """The logits of a fitted logistic regression and its cross-validated accuracy."""

    logits: NDArray[np.float64]  # (n, k)
    folds: int  # 0 without cross-validation
    accuracy: float | None  # None without cross-validation


def fit_logistic(
    features: NDArray[np.float32],  # (n, d)
    labels: NDArray[np.int32],  # (n,) in 0..k-1, k > 1, every class present
    c: float,
) -> LogisticFit:
    """Fit a multinomial logistic regression on standardised features, and return its logits for the same rows.

        minimise over w, b:  c sum_i -log softmax(w z_i + b)[label_i] + |w|² / 2,   z = (features - mean) / std

    For two classes the regression gives one log-odds o; the logits are (-o / 2, o / 2), which have the same soft-max.

    The accuracy is the mean over stratified folds, taken in the order of the rows. There are FOLDS folds, or as many as
    the smallest class has rows where that is less. With a class of one row there is no cross-validation.
    Raises ModelError when the solver does not converge.
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
                f"the logistic regression of the pretrained teacher did not converge in {MOST_STEPS} steps. "
                f"Lower pretrained_teacher.logistic_c, which is {c}."
            ) from error
    return LogisticFit(_with_a_column_per_class(fitted.decision_function(values)), folds if folds > 1 else 0, accuracy)


def _pipeline(c: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=MOST_STEPS))


def _with_a_column_per_class(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores of k > 2 classes unchanged, and the log-odds of two classes as two columns."""
    return np.stack([-scores / 2, scores / 2], axis=1) if scores.ndim == 1 else scores


class Regression(NamedTuple):
    """A fitted regression: its logits are features @ weight.T + bias."""

    weight: Floats  # (k, d)
    bias: Floats  # (k,)
    c: float
    validation_losses: dict[float, float]
    """Mean cross-entropy on ID validation by each C."""


def fit_on_validation(
    known: Floats,  # (m, d) features of the ID training images
    labels: NDArray[np.int32],  # (m,) in 0..k-1, k > 1, every class present
    validation: Floats,  # (v, d)
    validation_labels: NDArray[np.int32],  # (v,)
) -> Regression:
    """Return the multinomial logistic regression with the least cross-entropy on ID validation.

    It is fitted on standardised features; weight and bias are those of the features as they are. For two classes the
    regression gives one log-odds o; the logits are (-o / 2, o / 2), which have the same soft-max.

    Raises ModelError when the solver does not converge.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler().fit(known)
    scaled, scaled_validation = scaler.transform(known), scaler.transform(validation)
    fits: dict[float, tuple[float, Any]] = {}
    with warnings.catch_warnings(), threadpool_limits(UNIT_THREADS):  # not the number of cores
        warnings.simplefilter("error", ConvergenceWarning)
        for c in PENALTIES:
            try:
                fitted = LogisticRegression(C=c, max_iter=MOST_STEPS).fit(scaled, labels)
            except ConvergenceWarning as error:
                raise ModelError(
                    f"the logistic regression of the rival did not converge in {MOST_STEPS} steps with C {c}. "
                    f"Set rival.kind to none."
                ) from error
            probabilities = fitted.predict_proba(scaled_validation)
            fits[c] = float(log_loss(validation_labels, probabilities, labels=fitted.classes_)), fitted
    losses = {c: loss for c, (loss, _) in fits.items()}
    chosen = min(losses, key=lambda c: losses[c])
    weight = fits[chosen][1].coef_ / scaler.scale_
    bias = fits[chosen][1].intercept_ - weight @ scaler.mean_
    return Regression(_with_a_row_per_class(weight), _with_a_row_per_class(bias), chosen, losses)


def _with_a_row_per_class(values: Floats) -> Floats:
    """Return weights (k, d) or biases (k,) of k > 2 classes unchanged, and the log-odds of two classes as two."""
    return np.concatenate([-values, values]) / 2 if len(values) == 1 else values
