"""Outlier exposure with real outliers: what synthetic ones are measured against."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.peers.setting import Peer, Setting
from pipeline.losses.outlier_exposure import outlier_exposure
from pipeline.networks.resnet import LatentResNet
from pipeline.training.gradients import Losses

WEIGHT = 0.5
"""Of the loss on outliers: the paper's for images."""
OUTLIERS_PER_ROW = 2
"""Outliers of a step for each of its ID rows: 256 for 128 in the official code."""


class OutlierExposure(Peer):
    """Cross-entropy on ID rows, and on real outliers the divergence from the uniform distribution.

    Rows of both pass through the network together. Outliers are drawn without replacement until they are used up.

    Source: Hendrycks et al. 2019, https://arxiv.org/abs/1812.04606, section 4.3, and its official code, training from
    scratch. Raises ValueError when there are no outliers.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        if setting.exposure is None or not len(setting.exposure):
            raise ValueError("outlier exposure wants latents of real outliers")
        self.rng, self.outliers = setting.rng, setting.exposure
        self.waiting = torch.empty(0, dtype=torch.long)

    def forward(self, network: LatentResNet, values: Tensor, labels: Tensor) -> Losses:
        """Return cross-entropy and outlier exposure, with the next outliers."""
        outliers = self.draw(OUTLIERS_PER_ROW * len(values)).to(values.device)
        known, unknown = network(torch.cat([values, outliers])).logits.split([len(values), len(outliers)])
        uniform = torch.full_like(unknown, 1 / unknown.shape[1])
        return {
            "cross_entropy": cross_entropy(known, labels),
            "outlier_exposure": WEIGHT * outlier_exposure(unknown, uniform).mean(),
        }

    def draw(self, wanted: int) -> Tensor:  # (wanted, c, h, w)
        """Return the next outliers; a new order begins where the old one ends."""
        while len(self.waiting) < wanted:
            fresh = torch.from_numpy(self.rng.permutation(len(self.outliers)))
            self.waiting = torch.cat([self.waiting, fresh])
        rows, self.waiting = self.waiting[:wanted], self.waiting[wanted:]
        return self.outliers[rows]
