"""Mix ID rows with each other, and their labels alike: between classes the detector is to be as unsure as the mix."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pipeline.train.params import MixingParams


class Mixed(NamedTuple):
    """Rows and what the detector should say of them."""

    values: Tensor  # (n, c, h, w)
    targets: Tensor  # (n, k) probabilities, sums of 1


class Mixing:
    """Mixes each row of a batch with another one, in the kinds of the parameters in turn.

    linear: lam a + (1 - lam) b, lam uniform in 0..1. Zhang et al. 2018, https://arxiv.org/abs/1710.09412, eq. 1 and 2,
    with the even Beta distribution and a lam for each row.
    masked: a rectangle of b pasted into a, lam the share of a that is left. Yun et al. 2019,
    https://arxiv.org/abs/1905.04899, eq. 1; height and width are uniform, and the rectangle lies within the map.

    Rows here keep their classes; those of `synthesize.mixup` are outliers, of none.
    """

    def __init__(self, params: MixingParams, classes: int, order: torch.Generator) -> None:
        self.params, self.classes, self.order = params, classes, order

    def __call__(
        self,
        values: Tensor,  # (n, c, h, w)
        labels: Tensor,  # (n,)
    ) -> Mixed:
        """Return a mix of each row with a row of the batch; no rows where this has no weight."""
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
        """Return how much of its partner each row has at each place."""
        weights = torch.rand((rows, 1, 1, 1), generator=self.order).repeat(1, 1, height, width)
        kinds = torch.arange(rows) % len(self.params.kinds)
        for kind, name in enumerate(self.params.kinds):
            if name == "masked":
                mine = kinds == kind
                down, across = (self._inside(int(mine.sum()), length) for length in (height, width))
                weights[mine, 0] = (down[:, :, None] & across[:, None, :]).to(weights)
        return weights

    def _inside(self, rows: int, length: int) -> Tensor:  # (rows, length) bool
        """Return for each row a stretch of places, its length uniform in 1..length and its start in what is left."""
        sizes = torch.randint(1, length + 1, (rows, 1), generator=self.order)
        starts = (torch.rand((rows, 1), generator=self.order) * (length - sizes + 1)).long()
        places = torch.arange(length)
        return (places >= starts) & (places < starts + sizes)
