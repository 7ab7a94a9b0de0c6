"""VOS: virtual outliers from the thin parts of a Gaussian per class, which a learnt energy is to tell from ID rows."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import gammainccinv
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.peers.class_queue import ClassQueue
from benchmarks.leaderboard.peers.setting import Peer, Setting
from pipeline.networks.resnet import LatentResNet
from pipeline.training.gradients import Losses

START = 0.4
"""Share of the training without outliers: 40 of 100 epochs in the official code."""
QUEUE = 1000
"""Most features of a class that its Gaussian is fitted to: `sample_number` there."""
CANDIDATES = 10_000
"""Of which one per class, the least likely, is an outlier: `sample_from` and `select` there."""
RIDGE = 1e-4
"""Added to the variances, as there."""
WEIGHT = 0.1
"""Of the uncertainty loss, as there."""


class TiedGaussian(NamedTuple):
    """A normal distribution per class, all of one shape."""

    means: Tensor  # (k, d)
    covariance: Tensor  # (d, d)


def tied_gaussian(
    rows: Tensor,  # (k, q, d), q of each class
) -> TiedGaussian:
    """Return the class means and the covariance around them, with RIDGE on its diagonal.

        covariance = (1 / (k q)) sum_ci (row_ci - mean_c) (row_ci - mean_c)^T + RIDGE I

    Source: Du et al. 2022, https://arxiv.org/abs/2202.01197, section 3.1; the ridge is that of its official code.
    """
    means = rows.mean(1)
    centred = (rows - means[:, None]).flatten(0, 1)
    ridge = RIDGE * torch.eye(rows.shape[2], dtype=rows.dtype, device=rows.device)
    return TiedGaussian(means, centred.T @ centred / len(centred) + ridge)


def least_likely(gaussian: TiedGaussian, candidates: int, rng: np.random.Generator) -> Tensor:  # (k, d)
    """Return for each class what is the least likely of so many draws from its Gaussian.

    The likelihood of mean + L e, with L L^T the covariance and e standard normal, falls with the length of e and has
    nothing to do with its direction. So the direction is drawn once, and the squared length as the largest of
    `candidates` draws from the chi-squared distribution with d degrees of freedom, by its quantile: the largest of N
    even numbers between 0 and 1 is u^(1/N). That is the distribution of drawing them all, at a cost without N.

    Source: Du et al. 2022, https://arxiv.org/abs/2202.01197, section 3.1, whose official code draws them all.
    """
    classes, features = gaussian.means.shape
    beyond = -np.expm1(-rng.standard_exponential((classes, 1)) / candidates)  # 1 - u^(1/N)
    lengths = np.sqrt(2 * gammainccinv(features / 2, beyond))
    directions = rng.standard_normal((classes, features))
    noise = lengths * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    root: Tensor = torch.linalg.cholesky(gaussian.covariance)
    return gaussian.means + torch.from_numpy(noise).to(root) @ root.T


def weighted_log_sum_exp(
    logits: Tensor,  # (n, k)
    weights: Tensor,  # (k,)
) -> Tensor:  # (n,) nats
    """Return the negative energy of each row, with a learnt weight per class; larger is more ID.

        value_i = log sum_c max(0, weights_c) exp(logits_ic)

    A class whose weight is not positive has no part and no gradient.

    Source: Du et al. 2022, https://arxiv.org/abs/2202.01197, section 3.2; the rectified weights are its code's.
    """
    return (logits + weights.clamp(min=torch.finfo(weights.dtype).tiny).log()).logsumexp(1)


class Vos(Peer):
    """Cross-entropy and, once START of the training is over, the uncertainty loss of ID rows and virtual outliers.

        WEIGHT * cross-entropy of a logistic regression on the weighted energy, 1 for ID rows and 0 for outliers

    Class weights and regression are learnt along and are no part of the network that is kept, which is scored by its
    plain energy, as in the paper.

    Source: Du et al. 2022, https://arxiv.org/abs/2202.01197, section 3 and its official code for CIFAR.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.rng = setting.rng
        self.waiting = round(START * setting.steps)
        self.queue = ClassQueue(setting.class_sizes, setting.features, QUEUE)
        self.class_weights = nn.Parameter(torch.rand(setting.classes))
        self.regression = nn.Linear(1, 2)

    def forward(self, network: LatentResNet, values: Tensor, labels: Tensor) -> Losses:
        """Return cross-entropy and uncertainty loss, 0 as long as there are no outliers."""
        logits, features = network(values)
        self.queue.push(features, labels)
        self.waiting -= 1
        uncertainty = logits.new_zeros(())
        if self.waiting < 0 and self.queue.full:
            outliers = least_likely(tied_gaussian(self.queue.rows), CANDIDATES, self.rng)
            uncertainty = self._uncertainty(logits, network.head(outliers))
        return {"cross_entropy": cross_entropy(logits, labels), "uncertainty": WEIGHT * uncertainty}

    def _uncertainty(self, known: Tensor, outliers: Tensor) -> Tensor:
        energies = weighted_log_sum_exp(torch.cat([known, outliers]), self.class_weights)
        is_known = torch.arange(len(energies), device=energies.device) < len(known)
        return cross_entropy(self.regression(energies[:, None]), is_known.long())
