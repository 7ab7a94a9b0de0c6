"""Open the outlier stores a detector trains on, and draw batches in equal parts from each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.latents import Latents, knows_parents, require_outliers
from pipeline.store.format import Header
from pipeline.store.pool import RowPool
from pipeline.store.reader import Store
from pipeline.synthesize.params import NOBODY


class Rows(Protocol):
    """Latents that can be had in any order."""

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the given rows, (m, c, h, w)."""
        ...


@dataclass(frozen=True)
class OutlierRows:
    """The rows of one store and, of each, the ID training row that had the largest part in it."""

    latents: Rows
    parents: NDArray[np.int64]  # (m,) NOBODY where there is none, or none of these ID rows


class OutlierBatch(NamedTuple):
    """Outliers of one step."""

    values: Tensor  # (m, c, h, w) float16 as stored, on the CPU
    parents: Tensor  # (m,) row among the ID training latents, or NOBODY


def open_outliers(folders: Sequence[Path], id_train: Latents) -> list[OutlierRows]:
    """Return the rows of each store, standardised as they were made.

    Raises IncompatibleStoreError unless each was made from latents like `id_train`'s: same autoencoder, image size,
    scaling, standardisation and classes.
    """
    return [OutlierRows(pool, _parents(pool.store, id_train)) for pool in _pools(folders, id_train.header)]


def check_outliers(folders: Sequence[Path], id_train: Header) -> None:
    """Read every store once from end to end, so that damage ends the stage before its first step.

    Raises StoreError, which names the file, beside what `open_outliers` raises.
    """
    for pool in _pools(folders, id_train):
        pool.store.check()


def check_parents(folders: Sequence[Path], id_train: Latents) -> None:
    """Raise PipelineError when no outlier has a parent, which CLUB pairs it with."""
    if all((rows.parents == NOBODY).all() for rows in open_outliers(folders, id_train)):
        raise PipelineError(
            f"train.micl.club has a weight, but no row of {', '.join(map(str, folders))} has a parent among the ID "
            f"training latents. Set it to 0, or add a method that starts from ID latents."
        )


def _pools(folders: Sequence[Path], id_train: Header) -> Iterator[RowPool]:
    for folder in folders:
        pool = RowPool(folder)
        require_outliers(pool.store, id_train)
        yield pool


def _parents(store: Store, id_train: Latents) -> NDArray[np.int64]:
    """Return each row's main parent; NOBODY where the store was made from other ID rows."""
    if not knows_parents(store, id_train):
        return np.full(store.rows, NOBODY)
    further = sorted(name.removeprefix("lam_") for name in store.header.columns if name.startswith("lam_"))
    if any(f"parent_{place}" not in store.header.columns for place in further):
        return np.full(store.rows, NOBODY)  # of classes that are not mixed from rows
    parents = np.stack([store.column(f"parent_{place}") for place in ("a", "b", *further)], axis=1)
    rest = [store.column(f"lam_{place}") for place in further]
    shares = np.stack([store.column("lam"), 1 - store.column("lam") - sum(rest), *rest], axis=1)
    main = np.take_along_axis(parents, shares.argmax(1)[:, None], axis=1)[:, 0]
    return main.astype(np.int64)


class OutlierBatches:
    """Draws outliers without replacement from each store until it is used up, then starts over in a new order.

    Every store gives the same number of rows; what a batch has beyond equal parts goes to the stores in turn.
    """

    def __init__(self, stores: Sequence[OutlierRows], batch_size: int, order: torch.Generator) -> None:
        self.stores = stores
        self.order = order
        self.share, self.rest = divmod(batch_size, len(stores))
        self.drawn = 0
        self.waiting = [torch.empty(0, dtype=torch.long) for _ in stores]

    def draw(self) -> OutlierBatch:
        """Return the next batch."""
        turns = [(index - self.drawn * self.rest) % len(self.stores) for index in range(len(self.stores))]
        self.drawn += 1
        parts = [self.share + (turn < self.rest) for turn in turns]
        rows = [self._rows(index, part).numpy() for index, part in enumerate(parts)]
        latents = [store.latents.take(mine) for store, mine in zip(self.stores, rows, strict=True)]
        parents = [store.parents[mine] for store, mine in zip(self.stores, rows, strict=True)]
        return OutlierBatch(torch.from_numpy(np.concatenate(latents)), torch.from_numpy(np.concatenate(parents)))

    def _rows(self, index: int, wanted: int) -> Tensor:
        while len(self.waiting[index]) < wanted:
            fresh = torch.randperm(len(self.stores[index].parents), generator=self.order)
            self.waiting[index] = torch.cat([self.waiting[index], fresh])
        waiting = self.waiting[index]
        self.waiting[index] = waiting[wanted:]
        return waiting[:wanted]
