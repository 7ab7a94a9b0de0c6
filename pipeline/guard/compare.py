"""Find images that are in two sets: the same picture by content hash, nearly the same by distance in latent space."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.images.params import ID_SETS
from pipeline.neighbours import nearest

EXAMPLES = 5
"""Pairs of rows that are named, of however many there are."""


@dataclass(frozen=True)
class Shared:
    """Pictures that are in both of two sets; each counts once, however often a set repeats it."""

    a: str
    b: str
    images: int
    examples: list[tuple[int, int]]  # (row of a, row of b), of the first ones

    @property
    def leaks(self) -> bool:
        """Whether the two sets are to be disjoint: all are but OOD sets among each other."""
        return self.a in ID_SETS or self.b in ID_SETS


@dataclass(frozen=True)
class Near:
    """Images of one set that are nearly an ID training image."""

    images: int
    nearest: float  # of all distances, whether within the limit or not
    examples: list[tuple[int, int, float]]  # (row, row of id_train, distance), the nearest first


def repeats(
    contents: NDArray[np.int64],  # (n,)
) -> int:
    """Return how many images of one set are the same picture as an earlier one."""
    return len(contents) - len(np.unique(contents))


def shared_images(
    contents: Mapping[str, NDArray[np.int64]],  # by set, (n,)
) -> list[Shared]:
    """Return every two sets that have a picture in common, in the order of the sets."""
    found = []
    for a, b in combinations(contents, 2):
        _, rows_a, rows_b = np.intersect1d(contents[a], contents[b], return_indices=True)
        if len(rows_a):
            first = np.argsort(rows_a)[:EXAMPLES]
            examples = list(zip(rows_a[first].tolist(), rows_b[first].tolist(), strict=True))
            found.append(Shared(a, b, len(rows_a), examples))
    return found


def near_duplicates(
    rows: Tensor,  # (n, d), n at least 1
    id_train: Tensor,  # (m, d)
    limit: float,
) -> Near:
    """Return the rows whose distance to their nearest ID training row is below `limit`; none are when that is 0."""
    distances, neighbours = nearest(rows, id_train)
    within = int((distances < limit).sum())
    order = torch.argsort(distances, stable=True)[: min(within, EXAMPLES)]
    examples = [(int(row), int(neighbours[row]), float(distances[row])) for row in order]
    return Near(within, float(distances.min()), examples)
