"""The logits are those of scikit-learn's logistic regression on standardised features, with a column per class."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline.runtime.errors import ModelError
from pipeline.training.logistic import PENALTIES, fit_logistic, fit_on_validation


@pytest.mark.parametrize("classes", [2, 3])
def test_the_fit_separates_and_has_a_column_per_class(classes):
    labels = np.repeat(np.arange(classes, dtype=np.int32), 4)
    features = np.eye(classes, 5, dtype=np.float32)[labels] * 1000 + np.random.default_rng(0).random((len(labels), 5))
    fitted = fit_logistic(features.astype(np.float32), labels, c=1.0)
    assert fitted.logits.shape == (len(labels), classes)
    assert (fitted.logits.argmax(1) == labels).all()
    assert (fitted.folds, fitted.accuracy) == (4, 1.0)


def test_two_columns_have_the_probabilities_of_scikit_learn():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 4)).astype(np.float32), rng.permutation(30).astype(np.int32) % 2
    scaled = StandardScaler().fit_transform(features.astype(np.float64))
    wanted = LogisticRegression(C=0.3, max_iter=10_000).fit(scaled, labels).predict_proba(scaled)
    exponents = np.exp(fit_logistic(features, labels, c=0.3).logits)
    np.testing.assert_allclose(exponents / exponents.sum(1, keepdims=True), wanted, rtol=1e-6)


def test_a_class_of_one_image_leaves_no_cross_validation():
    features = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    fitted = fit_logistic(features, np.array([0, 0, 1, 1, 2], np.int32), c=1.0)
    assert (fitted.folds, fitted.accuracy) == (0, None)


def test_a_fit_that_does_not_converge_is_an_error(monkeypatch):
    monkeypatch.setattr("pipeline.training.logistic.MOST_STEPS", 1)
    features = np.random.default_rng(0).random((30, 3)).astype(np.float32)
    with pytest.raises(
        ModelError, match="did not converge in 1 steps. Lower pretrained_teacher.logistic_c, which is 9.0"
    ):
        fit_logistic(features, np.arange(30, dtype=np.int32) % 3, c=9.0)


def drawn(count, rng, images=60):
    labels = np.arange(images) % count
    means = np.random.default_rng(9).standard_normal((count, 6))
    return means[labels] * 3 + rng.standard_normal((images, 6)) * [1, 1, 5, 1, 1, 0.1], labels.astype(np.int32)


@pytest.mark.parametrize("count", [2, 3])
def test_with_the_penalty_that_validation_prefers_logits_are_those_of_scikit_learn(count):
    rng = np.random.default_rng(0)
    (known, labels), (validation, validation_labels) = drawn(count, rng), drawn(count, rng)
    found = fit_on_validation(known, labels, validation, validation_labels)
    scaler = StandardScaler().fit(known)
    wanted = LogisticRegression(C=found.c, max_iter=1000).fit(scaler.transform(known), labels)
    logits = validation @ found.weight.T + found.bias
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(shares, wanted.predict_proba(scaler.transform(validation)), atol=1e-9)
    losses = [-np.log(share[label]) for share, label in zip(shares, validation_labels, strict=True)]
    assert found.validation_losses[found.c] == pytest.approx(np.mean(losses))
    assert found.validation_losses[found.c] == min(found.validation_losses.values())
    assert tuple(found.validation_losses) == PENALTIES


def test_a_solver_that_does_not_end_is_one_error(monkeypatch):
    monkeypatch.setattr("pipeline.training.logistic.MOST_STEPS", 1)
    rng = np.random.default_rng(0)
    with pytest.raises(ModelError, match="logistic regression of the rival did not converge in 1 steps with C 0.0001"):
        fit_on_validation(*drawn(3, rng), *drawn(3, rng))
