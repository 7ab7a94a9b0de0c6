"""The interface of all synthesis methods: a block of row numbers in, outliers with their ancestry out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.latents.latents import Latents
from pipeline.latents.view_rows import Views
from pipeline.params.methods.base import NOBODY
from pipeline.runtime.files import digest
from pipeline.store.format import BLOCK_ROWS

ANCESTRY: Mapping[str, np.dtype[Any]] = {
    "class_a": np.dtype("<i4"),
    "class_b": np.dtype("<i4"),
    "parent_a": np.dtype("<i4"),
    "parent_b": np.dtype("<i4"),
    "lam": np.dtype("<f4"),
    "method": np.dtype("u1"),
    "seed": np.dtype("<i8"),
}
"""Columns of every outlier store.

class: index into the class names. parent: row of the ID training latents (for stand-ins, of the ID test latents).
lam: share of class a. method: index into the store's method names. A row of one parent repeats it, with lam 1. A row
without parents has NOBODY as its parents, and a row without a class has NOBODY as its classes. Where parents may be
views, a column `view_<name>` beside each `parent_<name>` has the number of the view: 0 for the plain latent, NOBODY for
no parent.
"""


CLASS_RUN = 8
"""Number of consecutive rows of the same class where there are many classes. Work that is done class by class then
fills a matrix product, and a block still has rows of many classes."""

Columns = dict[str, NDArray[Any]]
"""One value per row, by name of the column."""


@dataclass(frozen=True)
class Outliers:
    """A block of synthesized rows."""

    values: Tensor  # (BLOCK_ROWS, c, h, w) float32, standardised
    class_a: NDArray[np.integer[Any]]  # (BLOCK_ROWS,), as are the other columns
    class_b: NDArray[np.integer[Any]]
    parent_a: NDArray[np.integer[Any]]
    parent_b: NDArray[np.integer[Any]]
    lam: NDArray[np.floating[Any]]
    method: NDArray[np.integer[Any]]
    extra: Columns = field(default_factory=dict)

    @classmethod
    def of_one_parent(
        cls,
        values: Tensor,
        classes: NDArray[np.integer[Any]],
        parents: NDArray[np.integer[Any]],
        extra: Columns | None = None,
    ) -> Self:
        """Return rows with one parent each, which is repeated with lam 1. The method must have one variant only."""
        return cls(
            values=values,
            class_a=classes,
            class_b=classes,
            parent_a=parents,
            parent_b=parents,
            lam=np.ones(len(classes)),
            method=np.zeros(len(classes), np.int64),
            extra=extra or {},
        )

    @classmethod
    def without_parents(cls, values: Tensor) -> Self:
        """Return rows that have neither a parent nor a class."""
        nobody = np.full(len(values), NOBODY)
        return cls.of_one_parent(values, nobody, nobody)


class Method(ABC):
    """A method that makes outliers from ID latents."""

    method_names: tuple[str, ...]
    """The variants that a row may come from. A method without variants has only its own name."""
    extra_columns: Mapping[str, np.dtype[Any]] = MappingProxyType({})
    """Columns in addition to ANCESTRY."""
    inputs: Mapping[str, Any] = MappingProxyType({})
    """Identities of what was read in addition to the ID latents and the pipeline's own models."""

    @abstractmethod
    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`, which are one whole block. All randomness comes from `rng`."""

    def facts(self, columns: Columns) -> dict[str, Any]:  # noqa: ARG002  # not every method has any
        """Return facts for the provenance, derived from the ID latents or from the columns of all rows."""
        return {}


class ClassRows:
    """Row numbers by class, from which rows can be drawn; no class may be empty."""

    def __init__(self, rows_by_class: list[NDArray[np.int64]]) -> None:
        self.rows = np.concatenate(rows_by_class)
        self.sizes = np.array([len(rows) for rows in rows_by_class])
        self.starts = np.cumsum(self.sizes) - self.sizes

    def draw(
        self,
        classes: NDArray[np.int64],  # (n,)
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:  # (n,)
        """Return a row for each of the classes, drawn uniformly and with replacement from the rows of that class."""
        picks = np.floor(rng.random(len(classes)) * self.sizes[classes]).astype(np.int64)
        drawn: NDArray[np.int64] = self.rows[self.starts[classes] + picks]
        return drawn


class Parents:
    """ID latents by class, from which parents are drawn; a parent may be a view of its image.

    Statistics, neighbours and boundaries are those of the plain latents, `values`.
    """

    def __init__(self, latents: Latents, device: torch.device, views: Views | None = None) -> None:
        self.views = views
        self.values = latents.values.to(device)
        self.labels = latents.labels
        self.header = latents.header
        self.class_names = latents.class_names
        self.members = [np.flatnonzero(latents.labels == label) for label in range(len(latents.class_names))]
        self.class_rows = ClassRows(self.members)
        self._class_run = CLASS_RUN if len(self.members) > BLOCK_ROWS // CLASS_RUN else 1
        if empty := [name for name, rows in zip(self.class_names, self.members, strict=True) if not len(rows)]:
            raise ValueError(f"no ID latents of class {', '.join(empty)}")

    def latents(
        self,
        rows: NDArray[np.int64],  # (n,)
        numbers: NDArray[np.int64],  # (n,) of views; below 1: the plain latent
    ) -> Tensor:  # (n, c, h, w)
        """Return a copy of these encodings of the images. `index_select` is used, as it is faster than indexing."""
        values = self.values.index_select(0, torch.from_numpy(rows).to(self.values.device))
        if self.views is not None:
            self.views.replace_plain(values, rows, numbers)
        return values

    def draw_views(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return for each parent the number of a view, or 0 for the plain latent, all equally likely.

        They come from a generator that is spawned from `rng`, which keeps its state: all other draws of a block are the
        same with views and without. To be called once per block. Without views all are 0.
        """
        if self.views is None:
            return np.zeros(shape, np.int64)
        (spawned,) = rng.spawn(1)
        return spawned.integers(0, self.views.count + 1, shape)

    def view_columns(self, parents: int = 2) -> Mapping[str, np.dtype[Any]]:
        """Return the columns view_a, view_b, view_3 and so on of a row's `parents`; none without views."""
        return {} if self.views is None else {name: np.dtype("<i4") for name in _view_names(parents)}

    def view_column_values(self, *numbers: NDArray[np.int64]) -> Columns:
        """Return the values of these columns, (n,) for each parent; none without views."""
        return {} if self.views is None else dict(zip(_view_names(len(numbers)), numbers, strict=True))

    def cycle(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the class index of each row. The classes take turns, so that every store is balanced."""
        return rows // self._class_run % len(self.members)

    def kinds(self, rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the index of each row's kind, of `count` kinds. Among the rows of a class, the kinds take turns."""
        return (rows % self._class_run + rows // (self._class_run * len(self.members))) % count


def _view_names(parents: int) -> list[str]:
    return ["view_a", "view_b", *(f"view_{number}" for number in range(3, parents + 1))]


def block_generator(seed: int, method: str, block: int) -> np.random.Generator:
    """Return the counter-based random generator of one block, which depends only on the three arguments."""
    name = int(digest(method.encode())[:16], 16)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, name, block])))


def block_rows(block: int) -> NDArray[np.int64]:
    """Return the row numbers of a block. It is always a full block, so a row is the same in a store of any size."""
    return np.arange(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
