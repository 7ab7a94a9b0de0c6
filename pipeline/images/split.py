"""Choose rows of a labelled data set: class by class, by a seed, and at most so many."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def shuffled_rows(labels: NDArray[np.int64], label: int, seed: int) -> Rows:
    """Return the rows of one class in an order that depends on the seed and on these rows, not on other classes."""
    return np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))


def limited(classes: Sequence[Rows], limit: int | None) -> list[Rows]:
    """Return the first rows of every class, `limit` in all: one of each, and the rest in proportion to its rows.

    quota_c = 1 + (limit - k) * (n_c - 1) / (n - k), rounded to integers by largest remainder, the first of equals first
    k: classes, none of them empty; n_c: rows of class c; n: rows of all. A limit of None or of n and more takes all.
    """
    counts = [len(rows) for rows in classes]
    if limit is None or limit >= sum(counts):
        return list(classes)
    spare, others = limit - len(counts), sum(counts) - len(counts)
    quotas = [1 + spare * (count - 1) // others for count in counts]
    remainders = [spare * (count - 1) % others for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda index: -remainders[index])
    for index in by_remainder[: limit - sum(quotas)]:
        quotas[index] += 1
    return [rows[:quota] for rows, quota in zip(classes, quotas, strict=True)]
