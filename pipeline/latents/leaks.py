"""Find images that are in two sets: equal pictures by content hash, near-duplicates by distance in latent space."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.latents.near_rows import DirectedRows, near_rows
from pipeline.params.sets import ID_SETS

EXAMPLES = 5
"""Largest number of pairs of rows that are named as examples."""


@dataclass(frozen=True)
class SharedImages:
    """Pictures that are in both of two sets; each counts once, however often a set repeats it."""

    a: str
    b: str
    images: int
    examples: list[tuple[int, int]]  # (row of a, row of b), in the order of a's rows

    @property
    def leaks(self) -> bool:
        """Whether the two sets must be disjoint: all pairs of sets but two OOD sets."""
        return self.a in ID_SETS or self.b in ID_SETS


@dataclass(frozen=True)
class NearDuplicates:
    """Images of one set that are nearly equal to an ID training image."""

    images: int
    examples: list[tuple[int, int, float]]  # (row, row of id_train, distance), the nearest first


def repeats(
    contents: NDArray[np.int64],  # (n,)
) -> int:
    """Return how many images of a set are the same picture as an earlier one."""
    return len(contents) - len(np.unique(contents))


def shared_images(
    contents: Mapping[str, NDArray[np.int64]],  # by set, (n,)
) -> list[SharedImages]:
    """Return the shared pictures of every two sets that have some in common, in the order of the sets."""
    shared = []
    for a, b in combinations(contents, 2):
        _, rows_a, rows_b = np.intersect1d(contents[a], contents[b], return_indices=True)
        if len(rows_a):
            first = np.argsort(rows_a)[:EXAMPLES]
            examples = list(zip(rows_a[first].tolist(), rows_b[first].tolist(), strict=True))
            shared.append(SharedImages(a, b, len(rows_a), examples))
    return shared


def near_duplicates(
    rows: Tensor,  # (n, d), n at least 1
    id_train: DirectedRows,  # (m, d)
    limit: float,
) -> NearDuplicates:
    """Return the rows whose distance to the nearest ID training row is below `limit`; a limit of 0 gives none."""
    found = near_rows(rows, id_train, limit)
    order = torch.argsort(found.distances, stable=True)[:EXAMPLES]
    examples = zip(*(values[order].tolist() for values in (found.queries, found.rows, found.distances)), strict=True)
    return NearDuplicates(len(found.queries), list(examples))
