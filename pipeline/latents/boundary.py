"""The boundary of a class by exact k-NN distance: its outermost rows, its radius, and a row's distance to the class."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.latents.class_sizes import too_few_neighbours
from pipeline.latents.neighbours import Bank, kth_distance
from pipeline.runtime.errors import PipelineError


class Boundary:
    """The boundary of each class in a space where a class is a set of vectors.

    The distance of a row to a class is the distance to its k-th neighbour in the class, k = `neighbours`. The boundary
    of a class is the `share` of its rows with the largest distance to the class. Its radius is the smallest of these
    distances.

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
        class_distances = [kth_distance(bank.rows, bank, neighbours + 1) for bank in self.banks]
        self.radii = [_radius(distances, share) for distances in class_distances]
        self.outermost: list[NDArray[np.int64]] = [
            np.flatnonzero((distances >= radius).cpu().numpy())
            for distances, radius in zip(class_distances, self.radii, strict=True)
        ]

    def distance(self, rows: Tensor, label: int) -> Tensor:
        """Return the distance of each of `rows` (n, d) to class `label`, (n,)."""
        return kth_distance(rows, self.banks[label], self.neighbours)

    def farthest(
        self,
        candidates: Tensor,  # (n, m, d)
        label: int,
    ) -> tuple[Tensor, Tensor]:  # (n, d), (n,)
        """Return, of the m candidates of each row, the one farthest from class `label`, and its distance."""
        best = self.distance(candidates.flatten(0, 1), label).view(candidates.shape[:2]).max(dim=1)
        return candidates[torch.arange(len(candidates)), best.indices], best.values


def require_neighbours(sizes: dict[str, int], neighbours: int, parameter: str) -> None:
    """Raise PipelineError when classes have too few rows for each row to have `neighbours` others.

    sizes: number of rows by class name; parameter: name in params.yaml of the number of neighbours.
    """
    if problem := too_few_neighbours(sizes, neighbours, parameter):
        raise PipelineError(f"{problem}.")


def _radius(distances: Tensor, share: float) -> float:
    count = max(1, round(share * len(distances)))
    return float(distances.topk(count).values[-1])
