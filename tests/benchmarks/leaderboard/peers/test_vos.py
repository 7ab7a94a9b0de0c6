"""Virtual outliers are the least likely of many draws from a Gaussian per class; the energy is its equation."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, multivariate_normal
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.peers.setting import Setting
from benchmarks.leaderboard.peers.vos import (
    RIDGE,
    WEIGHT,
    TiedGaussian,
    Vos,
    least_likely,
    tied_gaussian,
    weighted_log_sum_exp,
)
from pipeline.networks.resnet import LatentResNet
from pipeline.params.networks import LinearParams, NetworkParams

RNG = np.random.default_rng(0)
COVARIANCE = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.2]])


def test_the_gaussian_equals_numpys_mean_and_pooled_covariance():
    rows = RNG.standard_normal((4, 6, 3)) + 5 * RNG.standard_normal((4, 1, 3))
    found = tied_gaussian(torch.from_numpy(rows))
    pooled = np.mean([np.cov(of_class.T, bias=True) for of_class in rows], axis=0)
    np.testing.assert_allclose(found.means, [of_class.mean(0) for of_class in rows], rtol=1e-12)
    np.testing.assert_allclose(found.covariance, pooled + RIDGE * np.eye(3), rtol=1e-10)


def test_likelihood_ranks_draws_as_the_length_of_their_noise():
    noise, mean = RNG.standard_normal((200, 3)), np.array([1.0, -2.0, 3.0])
    draws = [mean + np.linalg.cholesky(COVARIANCE) @ row for row in noise]
    likelihood = [multivariate_normal(mean, COVARIANCE).logpdf(row) for row in draws]
    assert np.argsort(likelihood).tolist() == np.argsort([-math.hypot(*row) for row in noise]).tolist()


@pytest.mark.parametrize("candidates", [1, 20])
def test_outliers_are_as_likely_as_the_least_likely_of_all_draws(candidates):
    gaussian = TiedGaussian(torch.zeros(1500, 3, dtype=torch.float64), torch.from_numpy(COVARIANCE))
    density = multivariate_normal(np.zeros(3), COVARIANCE)
    wanted = []
    for _ in range(1500):
        draws = RNG.multivariate_normal(np.zeros(3), COVARIANCE, candidates)
        wanted.append(min(np.atleast_1d(density.logpdf(draws))))
    found = least_likely(gaussian, candidates, np.random.default_rng(1)).numpy()
    assert ks_2samp(density.logpdf(found), wanted).pvalue > 0.01


def test_outliers_lie_around_their_own_class_in_directions_of_the_covariance():
    means = torch.tensor([[100.0, 0, 0], [0, -100.0, 0]], dtype=torch.float64).repeat_interleave(4000, dim=0)
    found = least_likely(TiedGaussian(means, torch.from_numpy(COVARIANCE)), 1, np.random.default_rng(1)) - means
    for of_class in found.numpy().reshape(2, 4000, 3):
        np.testing.assert_allclose(of_class.mean(0), 0, atol=0.1)
        np.testing.assert_allclose(np.cov(of_class.T), COVARIANCE, atol=0.15)


def test_the_weighted_energy_equals_its_equation():
    logits, weights = RNG.standard_normal((5, 3)), [0.7, -0.2, 1.4]
    wanted = [
        math.log(sum(max(0, w) * math.exp(value) for w, value in zip(weights, row, strict=True))) for row in logits
    ]
    found = weighted_log_sum_exp(torch.from_numpy(logits), torch.tensor(weights, dtype=torch.float64))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_class_without_weight_gets_no_gradient_and_none_of_the_others_is_lost():
    weights = torch.tensor([0.0, -1.0, 0.5], requires_grad=True)
    weighted_log_sum_exp(torch.ones(2, 3), weights).sum().backward()
    assert weights.grad.tolist() == pytest.approx([0.0, 0.0, 4.0])


def test_outliers_come_after_the_start_and_the_loss_is_that_of_a_logistic_regression():
    torch.manual_seed(0)
    network = LatentResNet(4, 2, NetworkParams(width=8, blocks=(1,), latent_mean=False), LinearParams(kind="linear"))
    peer = Vos(Setting((3, 3), 8, 10, np.random.default_rng(0), None))
    values, labels = torch.randn(6, 4, 4, 4), torch.tensor([0, 1] * 3)
    steps = [peer(network, values, labels) for _ in range(5)]
    assert [float(step["uncertainty"].detach()) > 0 for step in steps] == [False] * 4 + [True]
    logits, features = network(values)
    rows = torch.stack([features[::2], features[1::2]])
    outliers = network.head(least_likely(tied_gaussian(rows), 10_000, np.random.default_rng(0)))
    energies = weighted_log_sum_exp(torch.cat([logits, outliers]), peer.class_weights)
    wanted = cross_entropy(peer.regression(energies[:, None]), torch.tensor([1] * 6 + [0] * 2))
    torch.testing.assert_close(steps[4]["uncertainty"], WEIGHT * wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(steps[4]["cross_entropy"], cross_entropy(logits, labels))
