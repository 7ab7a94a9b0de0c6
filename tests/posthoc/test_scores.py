"""Scores agree with their equations, point the right way and do not saturate."""

import math

import numpy as np
import pytest
import torch

from pipeline.params.infer import InferParams
from pipeline.posthoc.fitted import score_class
from pipeline.posthoc.score import NetworkOutputs
from pipeline.posthoc.scores.gen import generalised_entropy
from tests.helpers import oracles, oracles_scores
from tests.helpers.make import default_params, section

RNG = np.random.default_rng(0)
LOGITS, FEATURES, BANK = 4 * RNG.standard_normal((6, 4)), RNG.standard_normal((6, 3)), RNG.standard_normal((9, 3))
PARAMS = section(InferParams, default_params()["infer"] | {"knn_neighbours": 4})


def of_logits(name, logits):
    """Return a score that needs nothing but the logits."""
    return score_class(name)(PARAMS, {}).score(NetworkOutputs(logits, torch.tensor(FEATURES)))


def of_features(name, features, **tensors):
    """Return a score that needs the features and what it has learnt."""
    return score_class(name)(PARAMS, tensors).score(NetworkOutputs(torch.tensor(LOGITS), features))


def test_msp_is_minus_log_of_the_largest_probability():
    np.testing.assert_allclose(of_logits("msp", torch.tensor(LOGITS)), [*map(oracles_scores.msp, LOGITS)], rtol=1e-10)


def test_msp_does_not_saturate_where_the_softmax_does():
    sure, surer = of_logits("msp", torch.tensor([[60.0, 0.0], [62.0, 0.0]], dtype=torch.float64))
    assert sure == pytest.approx(math.exp(-60), rel=1e-12)
    assert surer == pytest.approx(math.exp(-62), rel=1e-12)


def test_max_logit_is_minus_the_largest():
    np.testing.assert_array_equal(of_logits("max_logit", torch.tensor(LOGITS)), [-max(row) for row in LOGITS])


def test_energy_is_minus_logsumexp():
    wanted = [-math.log(sum(math.exp(value) for value in row)) for row in LOGITS]
    np.testing.assert_allclose(of_logits("energy", torch.tensor(LOGITS)), wanted, rtol=1e-10)


@pytest.mark.parametrize("classes", [None, 2, 9])
@pytest.mark.parametrize("scale", [1, 30])  # at 30 the largest probability is 1 in float64
def test_gen_is_the_sum_of_powers_of_p_and_1_minus_p(classes, scale):
    found = generalised_entropy(torch.tensor(scale * LOGITS), gamma=0.1, classes=classes)
    wanted = [oracles_scores.gen(scale * row, 0.1, classes) for row in LOGITS]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_gen_counts_tied_classes_alike():
    found = generalised_entropy(torch.zeros(1, 2, dtype=torch.float64), gamma=0.5, classes=None)
    assert float(found) == pytest.approx(1.0)


def test_cosine_is_1_less_the_cosine_to_the_nearest_class():
    found = of_features("cosine", torch.tensor(FEATURES), class_weights=torch.tensor(BANK[:4]))
    wanted = [oracles_scores.cosine_score(row, BANK[:4]) for row in FEATURES]
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_cosine_of_a_feature_of_zeros_is_that_of_a_right_angle():
    assert float(of_features("cosine", torch.zeros(1, 3), class_weights=torch.ones(2, 3))) == 1


def test_knn_is_the_distance_between_unit_features():
    bank = [oracles.normalised(row) for row in BANK]
    wanted = [oracles.kth_distance(oracles.normalised(row), bank, 4) for row in FEATURES]
    unit_length = torch.nn.functional.normalize(torch.tensor(BANK), dim=1)
    np.testing.assert_allclose(of_features("knn", torch.tensor(FEATURES), bank=unit_length), wanted, rtol=1e-10)
