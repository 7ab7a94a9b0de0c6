"""Where a class ends, by exact k-NN distance: its outermost rows, its radius, and how far outside a row lies."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.neighbours import Bank, kth_distance


class Boundary:
    """The boundary of each class in a space where classes are sets of vectors.

    A row's distance to a class is that to its k-th neighbour there, k = `neighbours`. The boundary of a class is the
    `share` of its own rows with the largest distance, its radius the smallest distance among these.

    Source: NPOS, https://arxiv.org/abs/2303.02966, section 3.1, as used by OAL, https://arxiv.org/abs/2406.16525.
    """

    def __init__(
        self,
        banks: list[Tensor],  # per class (n_class, d)
        neighbours: int,
        share: float,
    ) -> None:
        self.banks = [Bank(rows) for rows in banks]
        self.neighbours = neighbours
        own = [kth_distance(bank.rows, bank, neighbours + 1) for bank in self.banks]
        self.radii = [_radius(distances, share) for distances in own]
        self.outermost: list[NDArray[np.int64]] = [
            np.flatnonzero((distances >= radius).cpu().numpy())
            for distances, radius in zip(own, self.radii, strict=True)
        ]

    def distance(self, rows: Tensor, label: int) -> Tensor:
        """Return how far each of `rows` (n, d) is from class `label`, (n,)."""
        return kth_distance(rows, self.banks[label], self.neighbours)

    def farthest(
        self,
        candidates: Tensor,  # (n, m, d)
        label: int,
    ) -> tuple[Tensor, Tensor]:  # (n, d), (n,)
        """Return of the m candidates for each row the one farthest from class `label`, and its distance."""
        best = self.distance(candidates.flatten(0, 1), label).view(candidates.shape[:2]).max(dim=1)
        return candidates[torch.arange(len(candidates)), best.indices], best.values


def require_neighbours(sizes: dict[str, int], neighbours: int, parameter: str) -> None:
    """Raise PipelineError when a class has too few rows to have `neighbours` others around each.

    sizes: rows of each class, by its name; parameter: where in params.yaml the neighbours are set.
    """
    for name, size in sizes.items():
        if size <= neighbours:
            raise PipelineError(
                f"{parameter} is {neighbours}, but class {name!r} has {size} rows and {neighbours + 1} are wanted. "
                f"Lower the parameter or add some."
            )


def _radius(distances: Tensor, share: float) -> float:
    kept = max(1, round(share * len(distances)))
    return float(distances.topk(kept).values[-1])
