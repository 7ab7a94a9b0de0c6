"""Every loss equals its equation written as loops, has the right gradient, and is defined on nothing."""

import numpy as np
import pytest
import torch

from pipeline.losses.distillation import feature_distillation, logit_distillation
from pipeline.losses.info_nce import info_nce
from pipeline.losses.outlier_exposure import outlier_exposure
from pipeline.losses.reconstruction import reconstruction
from tests.helpers import oracles

RNG = np.random.default_rng(0)
FEATURES, OUTLIERS = RNG.standard_normal((6, 3)), RNG.standard_normal((4, 3))
LABELS = [0, 0, 0, 1, 1, 2]
STUDENT, TEACHER = 3 * RNG.standard_normal((5, 4)), 3 * RNG.standard_normal((5, 4))


def contrast(features, outliers, labels=LABELS, temperature=0.3):
    return info_nce(torch.as_tensor(features), torch.tensor(labels), torch.as_tensor(outliers), temperature=temperature)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_info_nce_equals_its_equation(count, temperature):
    found = contrast(FEATURES, OUTLIERS[:count], temperature=temperature)
    wanted = oracles.info_nce(FEATURES, LABELS, OUTLIERS[:count], temperature)
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_info_nce_of_a_row_alone_in_its_class_is_zero_with_a_gradient():
    features = torch.tensor(FEATURES, requires_grad=True)
    loss = contrast(features, OUTLIERS)
    assert loss[5] == 0
    loss.sum().backward()
    assert torch.isfinite(features.grad).all()


def test_info_nce_of_one_class_without_outliers_is_zero_with_a_gradient():
    features = torch.tensor(FEATURES, requires_grad=True)
    loss = contrast(features, OUTLIERS[:0], labels=[1] * 6)
    assert loss.requires_grad
    assert loss.abs().max() == 0


def test_info_nce_grows_when_an_outlier_comes_near():
    far, near = -FEATURES[:1], FEATURES[:1]
    assert contrast(FEATURES, near)[0] > contrast(FEATURES, far)[0]


def test_info_nce_does_not_see_the_scale_of_features():
    torch.testing.assert_close(contrast(FEATURES, OUTLIERS), contrast(7 * FEATURES, 0.1 * OUTLIERS))


def test_info_nce_in_float32_stays_finite_at_a_low_temperature():
    loss = contrast(torch.tensor(FEATURES).float(), torch.tensor(OUTLIERS).float(), temperature=0.001)
    assert torch.isfinite(loss).all()


def test_info_nce_has_the_gradient_of_its_value():
    inputs = (torch.tensor(FEATURES, requires_grad=True), torch.tensor(OUTLIERS, requires_grad=True))
    assert torch.autograd.gradcheck(contrast, inputs)


TARGETS = [oracles.softmax(row) for row in TEACHER]


def test_outlier_exposure_equals_its_equation():
    found = outlier_exposure(torch.tensor(STUDENT), torch.tensor(TARGETS, dtype=torch.float64))
    np.testing.assert_allclose(found, oracles.outlier_exposure(STUDENT, TARGETS), rtol=1e-10)


def test_a_target_of_one_class_is_cross_entropy():
    targets = torch.eye(len(STUDENT[0]), dtype=torch.float64)[: len(STUDENT)]
    found = outlier_exposure(torch.tensor(STUDENT)[: len(targets)], targets)
    wanted = torch.nn.functional.cross_entropy(torch.tensor(STUDENT)[: len(targets)], targets, reduction="none")
    torch.testing.assert_close(found, wanted)


def test_outlier_exposure_of_a_prediction_like_its_target_is_zero():
    assert outlier_exposure(torch.tensor(TEACHER), torch.tensor(TARGETS, dtype=torch.float64)).abs().max() < 1e-12


def test_outlier_exposure_of_nothing_is_nothing():
    assert outlier_exposure(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


def test_outlier_exposure_has_the_gradient_of_its_value():
    logits = torch.tensor(STUDENT, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda values: outlier_exposure(values, torch.tensor(TARGETS, dtype=torch.float64)), logits
    )


@pytest.mark.parametrize("distillation", [logit_distillation, feature_distillation])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_equals_its_equation(temperature, distillation):
    found = distillation(torch.tensor(STUDENT), torch.tensor(TEACHER), temperature=temperature)
    np.testing.assert_allclose(found, oracles.distillation(STUDENT, TEACHER, temperature), rtol=1e-10)


def test_distillation_of_agreement_is_zero():
    assert logit_distillation(torch.tensor(STUDENT), torch.tensor(STUDENT + 5), temperature=2.0).abs().max() < 1e-12


def test_distillation_has_the_gradient_of_its_value():
    teacher = torch.tensor(TEACHER)
    student = torch.tensor(STUDENT, requires_grad=True)
    assert torch.autograd.gradcheck(lambda logits: logit_distillation(logits, teacher, temperature=2.0), student)


def test_feature_distillation_has_the_gradient_of_its_value_on_both_sides():
    inputs = (torch.tensor(STUDENT, requires_grad=True), torch.tensor(TEACHER, requires_grad=True))
    assert torch.autograd.gradcheck(lambda ours, theirs: feature_distillation(ours, theirs, temperature=2.0), inputs)


def test_feature_distillation_of_nothing_is_zero_with_a_gradient():
    features = torch.zeros(0, 4, requires_grad=True)
    loss = feature_distillation(features, features, temperature=1.0)
    loss.sum().backward()
    assert loss.shape == (0,)
    assert features.grad.shape == (0, 4)


def test_feature_distillation_of_far_features_stays_finite_in_float32():
    far = 1e6 * torch.tensor(STUDENT).float()
    assert torch.isfinite(feature_distillation(far, -far, temperature=0.1)).all()


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_reconstruction_is_the_mean_square_of_what_is_missed(rows):
    decoded, latents = RNG.standard_normal((2, rows, 2, 3, 3))
    found = reconstruction(torch.tensor(decoded), torch.tensor(latents))
    np.testing.assert_allclose(found, oracles.reconstruction(decoded, latents), rtol=1e-10)
