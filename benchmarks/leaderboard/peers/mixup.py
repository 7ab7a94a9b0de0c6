"""Mixup: the network learns mixed latents with mixed labels."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.peers.setting import Peer, Setting
from pipeline.networks.resnet import LatentResNet
from pipeline.training.gradients import Losses

ALPHA = 0.2
"""Of the Beta distribution of shares. Within the paper's range for ImageNet, 0.1 to 0.4, above which it saw networks
underfit; its 1 for CIFAR goes with ten times our epochs and wider networks."""


def mixed_cross_entropy(
    logits: Tensor,  # (n, k)
    labels: Tensor,  # (n,)
    partners: Tensor,  # (n,) labels of what was mixed in
    share: float,
) -> Tensor:  # (n,) nats
    """Return the cross-entropy to labels of which `share` is a row's own and the rest its partner's.

        loss_i = -share log p_i,labels_i - (1 - share) log p_i,partners_i

    Source: Zhang et al. 2018, https://arxiv.org/abs/1710.09412, section 2, as its code computes it.
    """
    own, other = (cross_entropy(logits, those, reduction="none") for those in (labels, partners))
    return share * own + (1 - share) * other


class Mixup(Peer):
    """Every row of a batch is mixed with another one, all with the same share, drawn from Beta(ALPHA, ALPHA).

        mixed_i = share row_i + (1 - share) row_j,   j a permutation of the batch

    Source: Zhang et al. 2018, https://arxiv.org/abs/1710.09412, section 2; one share per batch as in its code.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.rng = setting.rng

    def forward(self, network: LatentResNet, values: Tensor, labels: Tensor) -> Losses:
        """Return the mean cross-entropy to mixed labels."""
        share = float(self.rng.beta(ALPHA, ALPHA))
        partners = torch.from_numpy(self.rng.permutation(len(labels))).to(labels.device)
        mixed = share * values + (1 - share) * values[partners]
        return {"cross_entropy": mixed_cross_entropy(network(mixed).logits, labels, labels[partners], share).mean()}
