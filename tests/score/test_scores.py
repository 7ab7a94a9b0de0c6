"""Scores agree with their equations, point the right way and do not saturate."""

import math

import numpy as np
import torch

from pipeline.score import scores
from tests import oracles

RNG = np.random.default_rng(0)
LOGITS, FEATURES, BANK = 4 * RNG.standard_normal((6, 4)), RNG.standard_normal((6, 3)), RNG.standard_normal((9, 3))


def test_msp_is_minus_log_of_the_largest_probability():
    wanted = [-math.log(max(oracles.softmax(row))) for row in LOGITS]
    np.testing.assert_allclose(scores.msp_score(torch.tensor(LOGITS)), wanted, rtol=1e-10)


def test_msp_does_not_saturate_where_the_softmax_does():
    sure, surer = scores.msp_score(torch.tensor([[30.0, 0.0], [32.0, 0.0]], dtype=torch.float64))
    assert sure > surer > 0


def test_energy_is_minus_logsumexp():
    wanted = [-math.log(sum(math.exp(value) for value in row)) for row in LOGITS]
    np.testing.assert_allclose(scores.energy_score(torch.tensor(LOGITS)), wanted, rtol=1e-10)


def test_knn_is_the_distance_between_unit_features():
    bank = [oracles.normalised(row) for row in BANK]
    wanted = [oracles.kth_distance(oracles.normalised(row), bank, 4) for row in FEATURES]
    np.testing.assert_allclose(scores.knn_score(torch.tensor(FEATURES), torch.tensor(BANK), 4), wanted, rtol=1e-10)


def test_all_scores_are_higher_for_an_outlier():
    bank = torch.tensor([[1.0, 0.0]] * 5, dtype=torch.float64)
    of = scores.Outputs(
        torch.tensor([[9.0, 0.0], [0.1, 0.0]], dtype=torch.float64),
        torch.tensor([[2.0, 0.1], [0.0, 1.0]], dtype=torch.float64),
    )
    found = scores.all_scores(of, bank, 2)
    assert set(found) == {"msp", "energy", "knn"}
    assert all(outlier > known for known, outlier in found.values())
