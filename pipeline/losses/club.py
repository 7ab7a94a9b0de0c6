"""CLUB, an upper bound of the mutual information of paired features: what a network minimises to forget a pairing."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

LOG_VARIANCE_BOUND = 5.0
"""Widest log-variance of a posterior, either way: conditional variances between e^-5 and e^5. OAL's 1 cannot say less
than e^-1, and of unit Gaussians correlated by 0.9 the conditional variance is 0.19. Features should reach a posterior
with a mean square of about 1 each, so that the bound is far away."""
OAL_LOG_VARIANCE_BOUND = 1.0
"""The bound in OAL's published code, for the term that is kept for comparison."""


class Gaussian(NamedTuple):
    """A normal distribution per row, its dimensions independent."""

    mean: Tensor  # (n, d)
    log_variance: Tensor  # (n, d)


class GaussianPosterior(nn.Module):
    """q(y | x) = N(mean(x), diag exp(log_variance(x))), each of the two a network with one hidden layer.

        log_variance(x) = bound * tanh(v(x))

    Source: Cheng et al. 2020, https://arxiv.org/abs/2006.12013, its published code, whose bound is 1.
    """

    def __init__(self, x_features: int, y_features: int, *, hidden: int, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.mean = _network(x_features, hidden, y_features)
        self.raw_log_variance = _network(x_features, hidden, y_features)

    def forward(self, x: Tensor) -> Gaussian:
        """Return what is expected of y (n, y_features) given x (n, x_features)."""
        return Gaussian(self.mean(x), self.bound * self.raw_log_variance(x).tanh())

    def log_likelihood(
        self,
        x: Tensor,  # (n, x_features)
        y: Tensor,  # (n, y_features)
    ) -> Tensor:  # (n,) nats
        """Return log q(y_i | x_i), whose mean is maximised to fit q; higher is better, no rows give no values."""
        mean, log_variance = self(x)
        squared = (y - mean).square() * (-log_variance).exp()
        values: Tensor = -(squared + log_variance + math.log(2 * math.pi)).sum(1) / 2
        return values


def club(
    x: Tensor,  # (n, x_features)
    y: Tensor,  # (n, y_features), row i is the partner of row i of x
    posterior: GaussianPosterior,
) -> Tensor:  # (n,) nats
    """Return each pair's part of the variational upper bound of the mutual information of x and y.

        value_i = log q(y_i | x_i) - (1 / n) sum_j log q(y_j | x_i)

    Lower is less dependent. The mean of the values bounds the mutual information from above, in expectation and as far
    as q is the true conditional; a q that is not fitted bounds nothing. Even with the true q it lies above by the
    divergence KL(p(x) p(y) || p(x, y)). j runs over i too, which makes the mean over n pairs smaller by 1 - 1 / n.

    The sum over j is exact and takes O(n d), as log q is quadratic in y: with c and s the mean and the variance of y,
    the mean over j of (y_j - m)^2 is s + (c - m)^2. The parameters of q get no gradient, whatever optimiser holds them:
    a q that learns to lower this value would no longer bound anything. One pair has the value 0, attached to the graph;
    no pairs give no values.

    Source: Cheng et al. 2020, https://arxiv.org/abs/2006.12013, eq. 12.
    """
    fixed = {name: value.detach() for name, value in posterior.named_parameters()}
    mean, log_variance = torch.func.functional_call(posterior, fixed, (x,))
    centre = y.mean(0)
    spread = (y - centre).square().mean(0)
    excess = spread + (centre - y) * (centre + y - 2 * mean)  # s + (c - m)^2 - (y_i - m)^2 without cancellation
    values: Tensor = (excess * (-log_variance).exp()).sum(1) / 2
    return values


def random_pair_club(
    known: Tensor,  # (n, d) ID features
    outliers: Tensor,  # (m, d) outlier features, in an order that has nothing to do with that of `known`
    posterior: GaussianPosterior,
) -> Tensor:  # (min(n, m),) nats
    """Return the MICL term of OAL's published code, kept for comparison and called `paper` in the parameters.

        value_i = log q(known_i | outlier_i) - (1 / p) sum_j log q(known_j | outlier_i),   p = min(n, m)

    Rows are paired as they come, which is at random, and q is never fitted by likelihood. Over the p cyclic pairings
    the first part of a value has the second as its mean, so the mean over pairings of the values and of their gradient
    is 0 for every q: this is noise and trains nothing. Either batch empty gives no values.

    Source: OAL, https://arxiv.org/abs/2406.16525, its code. There the optimiser of the network also moves q, towards a
    lower value; here q gets no gradient, which changes nothing in the above.
    """
    pairs = min(len(known), len(outliers))
    return club(outliers[:pairs], known[:pairs], posterior)


class Club:
    """A posterior with the optimiser that fits it: by its likelihood, and by nothing else.

    steps: of Adam per call of `fit`, on the same pairs. Source: Cheng et al. 2020, algorithm 1, which takes one.
    """

    def __init__(self, posterior: GaussianPosterior, *, learning_rate: float, steps: int) -> None:
        self.posterior, self.steps = posterior, steps
        self.optimiser = torch.optim.Adam(posterior.parameters(), learning_rate)

    def fit(self, x: Tensor, y: Tensor) -> None:
        """Raise the likelihood of the pairs; the network that made them gets no gradient, no pairs change nothing."""
        x, y = x.detach(), y.detach()
        for _ in range(self.steps if len(x) else 0):
            self.optimiser.zero_grad(set_to_none=True)
            (-self.posterior.log_likelihood(x, y).mean()).backward()
            self.optimiser.step()

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return `club` of the pairs, (n,) nats, for the network to minimise."""
        return club(x, y, self.posterior)


def _network(before: int, hidden: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, hidden), nn.ReLU(), nn.Linear(hidden, after))
