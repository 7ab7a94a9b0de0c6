"""CLUB equals its equation, leaves its posterior alone, and OAL's term trains nothing."""

import numpy as np
import pytest
import torch

from pipeline.losses.club import LOG_VARIANCE_BOUND, Club, GaussianPosterior, club, random_pair_club
from tests.helpers import oracles

RNG = np.random.default_rng(0)
X, Y = torch.tensor(RNG.standard_normal((6, 3))), torch.tensor(3 + 2 * RNG.standard_normal((6, 2)))


def make_posterior(x_features=3, y_features=2, bound=LOG_VARIANCE_BOUND):
    torch.manual_seed(0)
    return GaussianPosterior(x_features, y_features, hidden=5, bound=bound).double()


def by_loops(x, y, posterior):
    mean, log_variance = (part.tolist() for part in posterior(x))
    return oracles.club(y.tolist(), mean, log_variance)


@pytest.mark.parametrize("pairs", [0, 1, 2, 6])
def test_club_equals_its_equation(pairs):
    posterior = make_posterior()
    found = club(X[:pairs], Y[:pairs], posterior).detach()
    np.testing.assert_allclose(found, by_loops(X[:pairs], Y[:pairs], posterior), rtol=1e-10, atol=1e-12)


def test_the_likelihood_equals_its_equation():
    posterior = make_posterior()
    wanted = [
        oracles.log_normal(*row) for row in zip(Y.tolist(), *(part.tolist() for part in posterior(X)), strict=True)
    ]
    np.testing.assert_allclose(posterior.log_likelihood(X, Y).detach(), wanted, rtol=1e-10)


@pytest.mark.parametrize("bound", [1.0, 5.0])
def test_the_log_variance_stays_within_its_bound(bound):
    log_variance = make_posterior(bound=bound)(1e6 * X).log_variance
    assert log_variance.abs().max() <= bound
    assert log_variance.abs().max() > 0.9 * bound


@pytest.mark.parametrize("pairs", [0, 1])
@pytest.mark.parametrize("estimate", [club, random_pair_club])
def test_fewer_than_two_pairs_are_zero_with_a_gradient(pairs, estimate):
    x, y = X[:pairs, :2].clone().requires_grad_(), Y[:pairs].clone().requires_grad_()
    value = estimate(x, y, make_posterior(2)).sum()
    value.backward()
    assert value == 0
    assert torch.isfinite(torch.cat([x.grad, y.grad])).all()


def test_club_has_the_gradient_of_its_value():
    posterior, inputs = make_posterior(), (X.clone().requires_grad_(), Y.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda x, y: club(x, y, posterior), inputs)


def test_the_likelihood_has_the_gradient_of_its_value():
    posterior, inputs = make_posterior(), (X.clone().requires_grad_(), Y.clone().requires_grad_())
    assert torch.autograd.gradcheck(posterior.log_likelihood, inputs)


@pytest.mark.parametrize("estimate", [club, random_pair_club])
def test_minimising_club_gives_the_posterior_no_gradient(estimate):
    posterior, x = make_posterior(2), Y.clone().requires_grad_()
    estimate(x, Y, posterior).sum().backward()
    assert x.grad.abs().max() > 0
    assert [value.grad for value in posterior.parameters()] == [None] * 8


def test_fitting_gives_the_pairs_no_gradient_and_raises_their_likelihood():
    estimator, x, y = Club(make_posterior(), learning_rate=0.01, steps=50), X.clone().requires_grad_(), Y.clone()
    before = estimator.posterior.log_likelihood(X, Y).mean()
    estimator.fit(2 * x, y.requires_grad_())
    assert (x.grad, y.grad) == (None, None)
    assert estimator.posterior.log_likelihood(2 * X, Y).mean() > before + 1


def test_fitting_takes_the_steps_it_was_told_and_none_on_no_pairs():
    estimator = Club(make_posterior(), learning_rate=0.01, steps=3)
    estimator.fit(X[:0], Y[:0])
    assert len(estimator.optimiser.state) == 0
    estimator.fit(X, Y)
    assert {int(state["step"]) for state in estimator.optimiser.state.values()} == {3}


def test_fitted_club_falls_when_a_network_minimises_it():
    torch.manual_seed(0)
    x = torch.randn(256, 2).double()
    y = (x + 0.3 * torch.randn(256, 2)).double().requires_grad_()
    estimator, optimiser = Club(make_posterior(2), learning_rate=0.01, steps=5), torch.optim.SGD([y], 5.0)
    values = []
    for step in range(120):
        estimator.fit(x, y)
        values.append(estimator(x, y).mean())
        if step >= 60:
            optimiser.zero_grad()
            values[-1].backward()
            optimiser.step()
    assert values[60] > 1
    assert values[-1] < 0.5 * values[60]


def test_club_of_far_features_stays_finite_in_float32():
    posterior = make_posterior().float()
    assert torch.isfinite(club(1e4 * X.float(), 1e4 * Y.float(), posterior)).all()


def test_random_pairs_are_the_rows_as_they_come():
    posterior = make_posterior(2)
    found = random_pair_club(Y, Y.flip(0)[:4], posterior)
    np.testing.assert_allclose(found.detach(), by_loops(Y.flip(0)[:4], Y[:4], posterior), rtol=1e-10)


def pairing_gradients():
    """The gradient on all features of every cyclic pairing."""
    id_rows, outliers, posterior = Y.clone().requires_grad_(), Y.flip(0).clone().requires_grad_(), make_posterior(2)
    return [
        torch.cat(torch.autograd.grad(random_pair_club(id_rows.roll(shift, 0), outliers, posterior).mean(), inputs))
        for inputs in [(id_rows, outliers)]
        for shift in range(len(id_rows))
    ]


def test_the_gradient_of_random_pairs_is_noise_with_mean_zero():
    gradients = torch.stack(pairing_gradients())
    assert gradients.norm(dim=(1, 2)).min() > 0.01
    assert gradients.mean(0).norm() < 1e-14
