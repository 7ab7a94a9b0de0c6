"""Mix ID rows with each other, and their labels in the same shares, so that predictions between classes are unsure."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pipeline.params.train import MixingParams


class Mixed(NamedTuple):
    """Mixed rows and their target probabilities."""

    values: Tensor  # (n, c, h, w)
    targets: Tensor  # (n, k) probabilities, sums of 1


class Mixing:
    """Mixes each row of a batch with another row; the kinds of the parameters take turns from row to row.

    linear: lam a + (1 - lam) b, lam uniform in 0..1. Zhang et al. 2018, https://arxiv.org/abs/1710.09412, eq. 1 and 2,
    with a uniform Beta distribution and a lam for each row.
    masked: a rectangle of b is pasted into a; lam is the share of a that remains. Yun et al. 2019,
    https://arxiv.org/abs/1905.04899, eq. 1; height and width are uniform, and the rectangle lies within the map.

    These rows keep their classes. Rows of the method `synthesize.mixup` are outliers and have no class.
    """

    def __init__(self, params: MixingParams, classes: int, order: torch.Generator) -> None:
        self.params, self.classes, self.order = params, classes, order

    def __call__(
        self,
        values: Tensor,  # (n, c, h, w)
        labels: Tensor,  # (n,)
    ) -> Mixed:
        """Return a mix of each row with a row of the batch; no rows when the weight is 0."""
        targets = one_hot(labels, self.classes).to(values)
        if not self.params.weight:
            return Mixed(values[:0], targets[:0])
        partners = torch.randperm(len(values), generator=self.order).to(values.device)
        weights = self._weights(len(values), values.shape[2], values.shape[3]).to(values.device)
        shares = weights.mean((1, 2, 3))[:, None]
        return Mixed(
            torch.lerp(values, values[partners], weights),
            torch.lerp(targets, targets[partners], shares.expand_as(targets)),
        )

    def _weights(self, rows: int, height: int, width: int) -> Tensor:  # (rows, 1, height, width)
        """Return the share of its partner in each row at each position."""
        weights = torch.rand((rows, 1, 1, 1), generator=self.order).repeat(1, 1, height, width)
        kinds = torch.arange(rows) % len(self.params.kinds)
        for kind, name in enumerate(self.params.kinds):
            if name == "masked":
                masked = kinds == kind
                vertical, horizontal = (self._intervals(int(masked.sum()), length) for length in (height, width))
                weights[masked, 0] = (vertical[:, :, None] & horizontal[:, None, :]).to(weights)
        return weights

    def _intervals(self, rows: int, length: int) -> Tensor:  # (rows, length) bool
        """Return a random interval for each row: its length is uniform in 1..length, its start among those that fit."""
        sizes = torch.randint(1, length + 1, (rows, 1), generator=self.order)
        starts = (torch.rand((rows, 1), generator=self.order) * (length - sizes + 1)).long()
        positions = torch.arange(length)
        return (positions >= starts) & (positions < starts + sizes)
