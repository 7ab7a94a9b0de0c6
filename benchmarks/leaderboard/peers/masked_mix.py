"""CutMix: a block of places comes from another row, and the label in proportion."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.peers.mixup import mixed_cross_entropy
from benchmarks.leaderboard.peers.setting import Peer, Setting
from pipeline.networks.resnet import LatentResNet
from pipeline.training.gradients import Losses

ALPHA = 1.0
"""Of the Beta distribution of shares, which is even: the paper's."""
PROBABILITY = 0.5
"""Of a batch to be mixed: that of the official command for CIFAR."""


class Block(NamedTuple):
    """Places of a feature map, end excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Places inside."""
        return (self.bottom - self.top) * (self.right - self.left)


def draw_block(height: int, width: int, share: float, rng: np.random.Generator) -> Block:
    """Return a block that leaves about `share` of the places, of the map's proportions, around an even centre.

        sides = sqrt(1 - share) (height, width)

    What reaches over the edge is cut off, so the share that is left has to be taken from `area`.

    Source: Yun et al. 2019, https://arxiv.org/abs/1905.04899, eq. 2. Differs from the official code where a side is
    odd: that drops a place, which would leave blocks of 2 x 2 at most on a 4 x 4 map. Here sides are rounded.
    """
    scale = np.sqrt(1 - share)
    top, bottom = _side(height, scale, rng)
    left, right = _side(width, scale, rng)
    return Block(top, bottom, left, right)


def _side(length: int, scale: float, rng: np.random.Generator) -> tuple[int, int]:
    side = round(length * scale)
    start = int(rng.integers(length)) - side // 2
    return max(0, start), min(length, start + side)


def cut_and_paste(values: Tensor, partners: Tensor, block: Block) -> Tensor:  # (n, c, h, w), (n,) -> (n, c, h, w)
    """Return every row with the block of its partner, the row of that number, in all channels.

    Source: Yun et al. 2019, https://arxiv.org/abs/1905.04899, eq. 1.
    """
    mixed = values.clone()
    inside = (..., slice(block.top, block.bottom), slice(block.left, block.right))
    mixed[inside] = values[partners][inside]
    return mixed


class MaskedMix(Peer):
    """With PROBABILITY a batch is mixed: one block for all its rows, labels by the block's area.

    Source: Yun et al. 2019, https://arxiv.org/abs/1905.04899, section 3 and its official code.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.rng = setting.rng

    def forward(self, network: LatentResNet, values: Tensor, labels: Tensor) -> Losses:
        """Return the mean cross-entropy, to mixed labels where the batch is mixed."""
        if self.rng.random() >= PROBABILITY:
            return {"cross_entropy": cross_entropy(network(values).logits, labels)}
        height, width = values.shape[2:]
        block = draw_block(height, width, float(self.rng.beta(ALPHA, ALPHA)), self.rng)
        partners = torch.from_numpy(self.rng.permutation(len(labels))).to(labels.device)
        logits = network(cut_and_paste(values, partners, block)).logits
        left = 1 - block.area / (height * width)
        return {"cross_entropy": mixed_cross_entropy(logits, labels, labels[partners], left).mean()}
