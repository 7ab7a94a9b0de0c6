"""What a peer is told before the first step, and what it has to do in each."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from pipeline.networks.resnet import LatentResNet
from pipeline.training.gradients import Losses


@dataclass(frozen=True)
class Setting:
    """The training that a peer shapes."""

    class_sizes: tuple[int, ...]  # ID training rows of each class
    features: int  # d, of the network
    steps: int  # of the whole training
    rng: np.random.Generator  # for the peer alone: batches and first weights are those of plain cross-entropy
    exposure: Tensor | None  # (m, c, h, w) real outliers, standardised as the ID latents

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.class_sizes)


class Peer(nn.Module):
    """A method: the losses of a step. What it learns beside the network are parameters of its own."""

    clip: float | None = None
    """Norm that gradients are clipped to."""

    def forward(self, network: LatentResNet, values: Tensor, labels: Tensor) -> Losses:
        """Return the losses of the next step.

        network: the one that is trained; values: (n, c, h, w) ID latents; labels: (n,).
        """
        raise NotImplementedError
