"""Open the outlier stores that a detector is trained on, and draw batches in equal parts from all stores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.latents.latents import Latents, has_parents_in, require_outliers
from pipeline.latents.view_rows import Views
from pipeline.params.methods.base import NOBODY
from pipeline.runtime.errors import DamagedStoreError, PipelineError
from pipeline.store.format import Header
from pipeline.store.pool import RowPool
from pipeline.store.reader import Store

Target = Callable[[NDArray[np.int64], NDArray[np.float32]], NDArray[np.float32]]
"""Classes (m, c) and their shares (m, c) to probabilities (m, k)."""


class LatentRows(Protocol):
    """Latents whose rows can be read in any order."""

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the given rows, (m, c, h, w)."""
        ...


@dataclass(frozen=True)
class OutlierRows:
    """The rows of one store, and for each row its main parent: the ID training row with the largest share in it."""

    latents: LatentRows
    parents: NDArray[np.int64]  # (m,) row of the ID training latents; NOBODY for no parent among them
    views: NDArray[np.int64]  # (m,) number of the view that the parent is; below 1 for the plain latent
    classes: NDArray[np.int64]  # (m, c) classes that the row lies between, or one class repeated; NOBODY for none
    shares: NDArray[np.float32]  # (m, c) of these classes in the row


class OutlierBatch(NamedTuple):
    """The outliers of one step."""

    values: Tensor  # (m, c, h, w) float16 as stored, on the CPU
    parents: Tensor  # (m,) row of the ID training latents, or NOBODY
    views: Tensor  # (m,) number of the view that the parent is; below 1 for the plain latent
    targets: Tensor  # (m, k) float32, what should be predicted


def open_outliers(folders: Sequence[Path], id_train: Latents, views: Views | None) -> list[OutlierRows]:
    """Return the rows of each store, standardised as stored.

    views: of these ID latents; parents may be some of them. Raises IncompatibleStoreError unless every store was made
    from latents like `id_train`: same encoder, image size, scaling, standardisation and classes.
    """
    return [
        OutlierRows(pool, *_parents(pool.store, id_train, views), *_classes(pool.store))
        for pool in _pools(folders, id_train.header)
    ]


def check_outliers(folders: Sequence[Path], id_train: Header) -> None:
    """Read every store once from end to end, so that a damaged file ends the stage before its first step.

    Raises StoreError, which names the file, and the errors of `open_outliers`.
    """
    for pool in _pools(folders, id_train):
        pool.store.check()


def check_parents(folders: Sequence[Path], id_train: Latents, views: Views | None) -> None:
    """Raise PipelineError when no outlier has a parent, since CLUB pairs outliers with their parents."""
    if all((rows.parents == NOBODY).all() for rows in open_outliers(folders, id_train, views)):
        raise PipelineError(
            f"train.micl.club has a weight, but no row of {', '.join(map(str, folders))} has a parent among the ID "
            f"training latents. Set train.micl.club.weight to 0, or add a method that starts from ID latents."
        )


def _pools(folders: Sequence[Path], id_train: Header) -> Iterator[RowPool]:
    for folder in folders:
        pool = RowPool(folder)
        require_outliers(pool.store, id_train)
        yield pool


def _parents(
    store: Store, id_train: Latents, views: Views | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:  # (m,) each
    """Return the main parent of each row, and the number of its view.

    All are NOBODY in a store that was made from other ID rows, or from other views of them than `views`.
    """
    nobody, plain = np.full(store.rows, NOBODY), np.zeros(store.rows, np.int64)
    if not has_parents_in(store, id_train):
        return nobody, plain
    from_views = any(name.startswith("view_") for name in store.header.columns)
    if from_views and (views is None or store.header.provenance.get("views") != views.identity):
        return nobody, plain
    if any(f"parent_{suffix}" not in store.header.columns for suffix in _suffixes(store)):
        return nobody, plain  # rows between classes that are not mixed from ID rows
    largest = _shares(store).argmax(1)[:, None]

    def of_main(kind: str) -> NDArray[np.int64]:
        return np.take_along_axis(_of_all(store, kind), largest, axis=1)[:, 0]

    if not from_views or views is None:
        return of_main("parent"), plain
    if (last := (numbers := of_main("view")).max()) > views.count:
        raise DamagedStoreError(str(store.source), f"the number {last} of a view", f"at most {views.count}")
    return of_main("parent"), numbers


def _classes(store: Store) -> tuple[NDArray[np.int64], NDArray[np.float32]]:  # (m, c) each
    """Return the classes of each row, and their shares."""
    return _of_all(store, "class"), _shares(store)


def _suffixes(store: Store) -> list[str]:
    """Return what the columns of each part of a row end in."""
    return ["a", "b", *sorted(name.removeprefix("lam_") for name in store.header.columns if name.startswith("lam_"))]


def _of_all(store: Store, kind: str) -> NDArray[np.int64]:  # (m, c)
    """Return class, parent or view of every part of each row."""
    return np.stack([store.column(f"{kind}_{suffix}") for suffix in _suffixes(store)], axis=1).astype(np.int64)


def _shares(store: Store) -> NDArray[np.float32]:  # (m, c)
    """Return the share of every part of each row; that of the second follows from the others."""
    first, *further = (store.column(f"lam{suffix}") for suffix in ("", *(f"_{end}" for end in _suffixes(store)[2:])))
    return np.stack([first, 1 - first - sum(further), *further], axis=1)


class OutlierBatches:
    """Draws outliers from each store without replacement; a store whose rows are used up starts over in a new order.

    Every store contributes the same number of rows. Where a batch cannot be divided equally, the stores take turns in
    contributing one row more. `target` gives the targets of rows of some classes and shares.
    """

    def __init__(self, stores: Sequence[OutlierRows], batch_size: int, order: torch.Generator, target: Target) -> None:
        self.stores, self.target = stores, target
        self.order = order
        self.share, self.remainder = divmod(batch_size, len(stores))
        self.batches_drawn = 0
        self.unused_rows = [torch.empty(0, dtype=torch.long) for _ in stores]

    def draw(self) -> OutlierBatch:
        """Return the next batch."""
        first_turn = self.batches_drawn * self.remainder
        turns = [(index - first_turn) % len(self.stores) for index in range(len(self.stores))]
        self.batches_drawn += 1
        counts = [self.share + (turn < self.remainder) for turn in turns]
        row_indices = [self._next_rows(index, count).numpy() for index, count in enumerate(counts)]
        parts = [self._batch(store, rows) for store, rows in zip(self.stores, row_indices, strict=True)]
        return OutlierBatch(*(torch.from_numpy(np.concatenate(columns)) for columns in zip(*parts, strict=True)))

    def _batch(self, store: OutlierRows, rows: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Return some rows of a store, in the order of OutlierBatch."""
        targets = self.target(store.classes[rows], store.shares[rows])
        return store.latents.take(rows), store.parents[rows], store.views[rows], targets

    def _next_rows(self, index: int, count: int) -> Tensor:
        while len(self.unused_rows[index]) < count:
            shuffled = torch.randperm(len(self.stores[index].parents), generator=self.order)
            self.unused_rows[index] = torch.cat([self.unused_rows[index], shuffled])
        unused = self.unused_rows[index]
        self.unused_rows[index] = unused[count:]
        return unused[:count]
