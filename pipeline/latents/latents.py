"""Load latents for the stages that learn from them: standardised, with their labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.latents.standardising import to_standardised
from pipeline.runtime.errors import DamagedStoreError, IncompatibleStoreError
from pipeline.runtime.memory import empty_table
from pipeline.store.format import LATENT, Header, Standardisation
from pipeline.store.reader import Store


@dataclass(frozen=True)
class Latents:
    """The latents of one image set."""

    values: Tensor  # (n, c, h, w) float32, standardised per channel; a table of `pipeline/runtime/memory.py`
    labels: NDArray[np.int32]  # (n,) index into class_names, -1 if the image shows no ID class
    contents: NDArray[np.int64]  # (n,) equal for two images that are the same picture
    header: Header
    digest: str  # of the store's manifest

    @property
    def class_names(self) -> tuple[str, ...]:
        """The ID classes."""
        return self.header.class_names


def load_id_train(folder: Path) -> Latents:
    """Return the ID training latents, standardised with their own statistics.

    Raises StoreError when the folder is not a whole store of latents.
    """
    store = Store(folder)
    store.require("latents", store.header.space)
    return _standardised(store, store.header.standardisation)


def load_latents(folder: Path, id_train: Header) -> Latents:
    """Return the latents of another set, standardised with the statistics of the ID training set.

    Raises IncompatibleStoreError when they have another encoder, image size or class list.
    """
    store = Store(folder)
    store.require("latents", id_train.space, id_train.class_names if store.header.class_names else None)
    return _standardised(store, id_train.standardisation)


def store_contents(store: Store) -> NDArray[np.int64]:
    """Return the content hash of each image of a store of latents, (n,).

    Raises IncompatibleStoreError when the store has none. Stores of an earlier version did not hold them.
    """
    if "content" not in (columns := store.header.columns):
        raise IncompatibleStoreError(str(store.source), "its list of columns", sorted(columns), ["content", "label"])
    return store.column("content")


def require_outliers(store: Store, id_train: Header) -> None:
    """Raise IncompatibleStoreError unless a store holds outliers that fit the ID training latents.

    They fit if encoder, image size, scaling, standardisation and classes are the same.
    """
    store.require("outliers", id_train.space, id_train.class_names)
    if (found := store.header.standardisation) != (wanted := id_train.standardisation):
        raise IncompatibleStoreError(str(store.source), "its standardisation", found, wanted)


def has_parents_in(store: Store, id_train: Latents) -> bool:
    """Return whether the parents of a store's outliers are rows of these latents; an imported store has others.

    Raises DamagedStoreError when they are, and a parent is beyond the last row.
    """
    if store.header.provenance.get("latents") != id_train.digest:
        return False
    for name in (name for name in store.header.columns if name.startswith("parent_")):
        if (last := store.column(name).max()) >= len(id_train.values):
            wanted = f"rows of the {len(id_train.values)} ID training latents"
            raise DamagedStoreError(str(store.source), f"{name} {last}", wanted)
    return True


def _standardised(store: Store, standardisation: Standardisation) -> Latents:
    table = torch.from_numpy(empty_table((store.rows, *store.header.space.shape), np.float32))
    for shard, rows in enumerate(store.shards):
        scaled = torch.from_numpy(store.chunk(LATENT, shard).astype(np.float32))
        table[rows.start : rows.stop] = to_standardised(scaled, standardisation)
    return Latents(table, store.column("label"), store_contents(store), store.header, store.digest)
