"""Read the outlier stores a detector trains on, and draw batches in equal parts from each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import IncompatibleStoreError
from pipeline.store.format import Header
from pipeline.store.reader import Store


def load_outliers(folders: Sequence[Path], id_train: Header) -> list[Tensor]:
    """Return the rows of each store, (m, c, h, w) float32, standardised as they were made.

    Raises IncompatibleStoreError unless each was made from latents like `id_train`'s: same autoencoder, image size,
    scaling, standardisation and classes.
    """
    return [_load(folder, id_train) for folder in folders]


def _load(folder: Path, id_train: Header) -> Tensor:
    store = Store(folder)
    store.require("outliers", id_train.space, id_train.class_names)
    if store.header.standardisation != id_train.standardisation:
        found, wanted = store.header.standardisation, id_train.standardisation
        raise IncompatibleStoreError(folder, "its standardisation", found, wanted)
    return torch.from_numpy(store.latents().astype(np.float32))


class OutlierBatches:
    """Draws outliers without replacement from each store until it is used up, then starts over in a new order.

    Every store gives the same number of rows; what a batch has beyond equal parts goes to the stores in turn.
    """

    def __init__(self, stores: Sequence[Tensor], batch_size: int, order: torch.Generator) -> None:
        self.stores = stores
        self.order = order
        self.share, self.rest = divmod(batch_size, len(stores))
        self.drawn = 0
        self.waiting = [torch.empty(0, dtype=torch.long) for _ in stores]

    def draw(self) -> Tensor:
        """Return the next batch, (m, c, h, w), on the CPU."""
        turns = [(index - self.drawn * self.rest) % len(self.stores) for index in range(len(self.stores))]
        self.drawn += 1
        parts = [self.share + (turn < self.rest) for turn in turns]
        return torch.cat([store[self._rows(index, parts[index])] for index, store in enumerate(self.stores)])

    def _rows(self, index: int, wanted: int) -> Tensor:
        while len(self.waiting[index]) < wanted:
            fresh = torch.randperm(len(self.stores[index]), generator=self.order)
            self.waiting[index] = torch.cat([self.waiting[index], fresh])
        waiting = self.waiting[index]
        self.waiting[index] = waiting[wanted:]
        return waiting[:wanted]
