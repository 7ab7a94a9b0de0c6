"""Select rows of a labelled data set: class by class, in an order drawn from a seed, and up to a limit."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RowNumbers = NDArray[np.int64]


def shuffled_rows(labels: NDArray[np.int64], label: int, seed: int) -> RowNumbers:
    """Return the rows of a class in an order that depends on the seed and on these rows, not on other classes."""
    return np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))


def draw_key(seed: int, content: int) -> bytes:
    """Return the key that sorts pictures into a random order; copies of a picture have the same key."""
    return hashlib.sha256(f"{seed} {content}".encode()).digest()


def shuffled_pictures(rows: Sequence[int], contents: Sequence[int], seed: int) -> tuple[RowNumbers, list[int]]:
    """Return rows in an order drawn from the seed, copies side by side, and the start of each picture's rows.

    contents: content hash of each of the rows. The starts are one longer than the number of pictures: picture i has the
    rows from start[i] to start[i + 1].
    """
    order = sorted((draw_key(seed, content), row, content) for row, content in zip(rows, contents, strict=True))
    start = [index for index in range(len(order)) if index == 0 or order[index][2] != order[index - 1][2]]
    return np.array([row for _, row, _ in order], np.int64), [*start, len(order)]


def limited(classes: Sequence[RowNumbers], limit: int | None) -> list[RowNumbers]:
    """Return the first rows of every class, `limit` in all: one row each, and the rest in proportion to its rows.

    quota_c = 1 + (limit - k) * (n_c - 1) / (n - k)

    k: number of classes, none of them empty; n_c: rows of class c; n: rows of all classes. Quotas are rounded to
    integers by largest remainder; of equal remainders the first class comes first. All rows are returned if the limit
    is None, n or more.
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
