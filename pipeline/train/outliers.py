"""Open the outlier stores a detector trains on, and draw batches in equal parts from each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import IncompatibleStoreError
from pipeline.store.format import Header
from pipeline.store.pool import RowPool


class Rows(Protocol):
    """Latents that can be had in any order."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the given rows, (m, c, h, w)."""
        ...


def open_outliers(folders: Sequence[Path], id_train: Header) -> list[RowPool]:
    """Return the rows of each store, standardised as they were made.

    Raises IncompatibleStoreError unless each was made from latents like `id_train`'s: same autoencoder, image size,
    scaling, standardisation and classes.
    """
    return [_open(folder, id_train) for folder in folders]


def check_outliers(folders: Sequence[Path], id_train: Header) -> None:
    """Read every store once from end to end, so that damage ends the stage before its first step.

    Raises StoreError, which names the file, beside what `open_outliers` raises.
    """
    for pool in open_outliers(folders, id_train):
        pool.store.check()


def _open(folder: Path, id_train: Header) -> RowPool:
    pool = RowPool(folder)
    pool.store.require("outliers", id_train.space, id_train.class_names)
    if pool.header.standardisation != id_train.standardisation:
        found, wanted = pool.header.standardisation, id_train.standardisation
        raise IncompatibleStoreError(folder, "its standardisation", found, wanted)
    return pool


class OutlierBatches:
    """Draws outliers without replacement from each store until it is used up, then starts over in a new order.

    Every store gives the same number of rows; what a batch has beyond equal parts goes to the stores in turn.
    """

    def __init__(self, stores: Sequence[Rows], batch_size: int, order: torch.Generator) -> None:
        self.stores = stores
        self.order = order
        self.share, self.rest = divmod(batch_size, len(stores))
        self.drawn = 0
        self.waiting = [torch.empty(0, dtype=torch.long) for _ in stores]

    def draw(self) -> Tensor:
        """Return the next batch, (m, c, h, w) float32, on the CPU."""
        turns = [(index - self.drawn * self.rest) % len(self.stores) for index in range(len(self.stores))]
        self.drawn += 1
        parts = [self.share + (turn < self.rest) for turn in turns]
        drawn = [store.take(self._rows(index, parts[index]).numpy()) for index, store in enumerate(self.stores)]
        return torch.from_numpy(np.concatenate(drawn)).float()

    def _rows(self, index: int, wanted: int) -> Tensor:
        while len(self.waiting[index]) < wanted:
            fresh = torch.randperm(len(self.stores[index]), generator=self.order)
            self.waiting[index] = torch.cat([self.waiting[index], fresh])
        waiting = self.waiting[index]
        self.waiting[index] = waiting[wanted:]
        return waiting[:wanted]
