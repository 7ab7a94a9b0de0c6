"""CLUB, an upper bound of the mutual information of paired features. A network minimises it to forget the pairing."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

LOG_VARIANCE_BOUND = 5.0
"""Largest absolute log-variance of a posterior: conditional variances are between e^-5 and e^5. OAL's bound of 1 allows
no variance below e^-1, but unit Gaussians with correlation 0.9 have a conditional variance of 0.19. Features should be
scaled to a mean square of about 1, so that the bound is far away."""
OAL_LOG_VARIANCE_BOUND = 1.0
"""The bound in OAL's published code, for its term, which is kept for comparison."""


class DiagonalNormal(NamedTuple):
    """One normal distribution per row, with independent dimensions."""

    mean: Tensor  # (n, d)
    log_variance: Tensor  # (n, d)


class GaussianPosterior(nn.Module):
    """q(y | x) = N(mean(x), diag exp(log_variance(x))), a diagonal normal distribution that networks predict from x.

        log_variance(x) = bound * tanh(v(x))

    mean and v are networks with one hidden layer each.

    Source: Cheng et al. 2020, https://arxiv.org/abs/2006.12013, its published code, whose bound is 1.
    """

    def __init__(self, x_features: int, y_features: int, *, hidden: int, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.mean = _network(x_features, hidden, y_features)
        self.raw_log_variance = _network(x_features, hidden, y_features)

    def forward(self, x: Tensor) -> DiagonalNormal:
        """Return the distribution of y (n, y_features) given x (n, x_features)."""
        return DiagonalNormal(self.mean(x), self.bound * self.raw_log_variance(x).tanh())

    def log_likelihood(
        self,
        x: Tensor,  # (n, x_features)
        y: Tensor,  # (n, y_features)
    ) -> Tensor:  # (n,) nats
        """Return log q(y_i | x_i); its mean is maximised to fit q. Higher is better; no rows give no values."""
        mean, log_variance = self(x)
        squared = (y - mean).square() * (-log_variance).exp()
        values: Tensor = -(squared + log_variance + math.log(2 * math.pi)).sum(1) / 2
        return values


def club(
    x: Tensor,  # (n, x_features)
    y: Tensor,  # (n, y_features), row i is the partner of row i of x
    posterior: GaussianPosterior,
) -> Tensor:  # (n,) nats
    """Return the contribution of each pair to the variational upper bound of the mutual information of x and y.

        value_i = log q(y_i | x_i) - (1 / n) sum_j log q(y_j | x_i)

    Lower is less dependent. In expectation, the mean of the values bounds the mutual information from above if q is the
    true conditional distribution. A q that is not fitted gives no bound. Even with the true q, the mean exceeds the
    mutual information by the divergence KL(p(x) p(y) || p(x, y)). j takes the value i too, so the mean over n pairs is
    smaller by a factor of 1 - 1 / n.

    The sum over j is exact and takes O(n d), since log q is quadratic in y: with c and s the mean and the variance of
    y, the mean over j of (y_j - m)^2 is s + (c - m)^2. The parameters of q get no gradient, even if an optimiser has
    them: a q that is trained to lower this value would give no bound. One pair has the value 0, attached to the graph.
    No pairs give no values.

    Source: Cheng et al. 2020, https://arxiv.org/abs/2006.12013, eq. 12.
    """
    fixed = {name: value.detach() for name, value in posterior.named_parameters()}
    mean, log_variance = torch.func.functional_call(posterior, fixed, (x,))
    centre = y.mean(0)
    variance = (y - centre).square().mean(0)
    excess = variance + (centre - y) * (centre + y - 2 * mean)  # s + (c - m)^2 - (y_i - m)^2 without cancellation
    values: Tensor = (excess * (-log_variance).exp()).sum(1) / 2
    return values


def random_pair_club(
    id_rows: Tensor,  # (n, d) ID features
    outliers: Tensor,  # (m, d) outlier features, in an order that is independent of the order of `id_rows`
    posterior: GaussianPosterior,
) -> Tensor:  # (min(n, m),) nats
    """Return the MICL term of OAL's published code, kept for comparison and called `paper` in the parameters.

        value_i = log q(id_i | outlier_i) - (1 / p) sum_j log q(id_j | outlier_i),   p = min(n, m)

    Row i is paired with row i, which is a random pairing, and q is never fitted by likelihood. Averaged over the p
    cyclic pairings, the first part of a value equals the second. So values and gradients have the mean 0 over pairings
    for every q: this term is noise and trains nothing. If either batch is empty, there are no values.

    Source: OAL, https://arxiv.org/abs/2406.16525, its code. Differs: there the optimiser of the network also changes q,
    towards a lower value. Here q gets no gradient, and the statements above hold in both cases.
    """
    pairs = min(len(id_rows), len(outliers))
    return club(outliers[:pairs], id_rows[:pairs], posterior)


class Club:
    """A posterior with the optimiser that fits it by its likelihood alone.

    steps: steps of Adam per call of `fit`, on the same pairs. Source: Cheng et al. 2020, algorithm 1, which takes one.
    """

    def __init__(self, posterior: GaussianPosterior, *, learning_rate: float, steps: int) -> None:
        self.posterior, self.steps = posterior, steps
        self.optimiser = torch.optim.Adam(posterior.parameters(), learning_rate)

    def fit(self, x: Tensor, y: Tensor) -> None:
        """Raise the likelihood of the pairs. Their network gets no gradient; without pairs, nothing changes."""
        x, y = x.detach(), y.detach()
        for _ in range(self.steps if len(x) else 0):
            self.optimiser.zero_grad(set_to_none=True)
            (-self.posterior.log_likelihood(x, y).mean()).backward()
            self.optimiser.step()

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return `club` of the pairs, (n,) nats, which the network minimises."""
        return club(x, y, self.posterior)


def _network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
