"""Statistics of the rows of a store, read shard by shard: of all values, and by class pair."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.store.format import LATENT
from pipeline.store.reader import Store


class Statistics(NamedTuple):
    """Statistics in types that JSON can hold."""

    values: dict[str, float]  # mean, std, smallest and largest of all values
    groups: list[dict[str, Any]]  # an entry per class pair, the largest first


class _PairSums(NamedTuple):
    """Sums over the rows of a class pair."""

    sums: NDArray[np.float64]  # (4,): rows, share of a, rms, rms squared
    largest: float  # absolute value


class _Pairs:
    """Sums of the class pairs that there are. All pairs of many classes would not fit into memory."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = [*names, None]  # the last: rows that show no ID class
        self.sums: dict[int, _PairSums] = {}

    def add(
        self,
        first: NDArray[np.int64],  # (n,) class
        second: NDArray[np.int64],  # (n,) class
        share: NDArray[Any],  # (n,) of the first
        latent: NDArray[np.float32],  # (n, values)
    ) -> None:
        rms = np.sqrt(np.square(latent).mean(1, dtype=np.float64))
        present, index = np.unique(first * len(self.names) + second, return_inverse=True)
        columns = (np.ones(len(first)), share, rms, np.square(rms))
        sums = np.stack([np.bincount(index, values, len(present)) for values in columns], axis=1)
        largest = np.zeros(len(present))
        np.maximum.at(largest, index, np.abs(latent).max(1))
        for pair, pair_sums, pair_largest in zip(present.tolist(), sums, largest.tolist(), strict=True):
            before = self.sums.get(pair, _PairSums(np.zeros(4), 0.0))
            self.sums[pair] = _PairSums(before.sums + pair_sums, max(before.largest, pair_largest))

    def entries(self) -> list[dict[str, Any]]:
        side = len(self.names)
        found = [
            {"class_a": self.names[pair // side], "class_b": self.names[pair % side], **_moments(*self.sums[pair])}
            for pair in sorted(self.sums)
        ]
        return sorted(found, key=lambda entry: -entry["rows"])


def statistics(store: Store) -> Statistics:
    """Return statistics of all values, and of the rows of each class pair (for latents: of each class).

    rms: root mean square over the values of a row, in the units of the store. In the units of a store of outliers, an
    ID row has an rms of about 1.
    """
    first, second = ("class_a", "class_b") if "class_a" in store.header.columns else ("label", "label")
    pairs, sums, ends = _Pairs(store.header.class_names), np.zeros(3), [np.inf, -np.inf]
    for shard in range(len(store.shards)):
        latent = store.chunk(LATENT, shard).astype(np.float32)
        latent = latent.reshape(len(latent), -1)
        share = store.chunk("lam", shard) if "lam" in store.header.columns else np.ones(len(latent))
        pairs.add(_class(store, first, shard), _class(store, second, shard), share, latent)
        sums += latent.size, latent.sum(dtype=np.float64), np.square(latent).sum(dtype=np.float64)
        ends = [min(ends[0], float(latent.min())), max(ends[1], float(latent.max()))]
    count, total, square = sums.tolist()
    std = float(np.sqrt(max(square / count - (total / count) ** 2, 0.0)))
    values = {"mean": total / count, "std": std, "smallest": ends[0], "largest": ends[1]}
    return Statistics(values, pairs.entries())


def _class(store: Store, column: str, shard: int) -> NDArray[np.int64]:
    """Return the class of each row; the number of classes stands for rows that show no ID class."""
    labels = store.chunk(column, shard).astype(np.int64)
    return np.where(labels < 0, len(store.header.class_names), labels)


def _moments(sums: NDArray[np.float64], largest: float) -> dict[str, Any]:
    rows, share, rms, square = sums
    std = float(np.sqrt(max(square / rows - (rms / rows) ** 2, 0.0)))
    return {
        "rows": int(rows),
        "share_of_a": float(share / rows),
        "rms_mean": float(rms / rows),
        "rms_std": std,
        "largest": float(largest),
    }
