"""What every synthesis method has in common: a block of rows in, outliers with their ancestry out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.files import digest
from pipeline.latents import Latents
from pipeline.store.format import BLOCK_ROWS
from pipeline.synthesize.params import NOBODY

ANCESTRY: Mapping[str, np.dtype[Any]] = {
    "class_a": np.dtype("<i4"),
    "class_b": np.dtype("<i4"),
    "parent_a": np.dtype("<i4"),
    "parent_b": np.dtype("<i4"),
    "lam": np.dtype("<f4"),
    "method": np.dtype("u1"),
    "seed": np.dtype("<i8"),
}
"""Columns of every outlier store. class: index into the class names; parent: row of the ID training latents; lam: the
share of class a; method: index into the store's method names. A row of one parent says it twice, with lam 1; a row
without parents, or of no class, says NOBODY there."""


RUN = 8
"""Rows of one class after another where there are many classes: what is computed class by class is then worth a product
of matrices, and a block still has rows of many."""

Columns = dict[str, NDArray[Any]]
"""One value per row, by name of the column."""


@dataclass(frozen=True)
class Outliers:
    """A block of synthesized rows."""

    values: Tensor  # (BLOCK_ROWS, c, h, w) float32, standardised
    class_a: NDArray[np.integer[Any]]  # (BLOCK_ROWS,), as the rest
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
        """Return rows that have one parent each, said twice with lam 1, all by the method's only variant."""
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
        """Return rows that come from no ID latent and no class."""
        nobody = np.full(len(values), NOBODY)
        return cls.of_one_parent(values, nobody, nobody)


class Method(ABC):
    """A way to make outliers from ID latents."""

    method_names: tuple[str, ...]
    """The variants a row may come from; a method without variants has its own name only."""
    extra_columns: Mapping[str, np.dtype[Any]] = MappingProxyType({})
    """Columns beside ANCESTRY."""
    inputs: Mapping[str, Any] = MappingProxyType({})
    """What was read beside the ID latents and the pipeline's own models, by what tells it from any other."""

    @abstractmethod
    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`, a whole block, from no randomness but `rng`'s."""

    def facts(self, columns: Columns) -> dict[str, Any]:  # noqa: ARG002  # not every method has any
        """Return what was derived from the ID latents, or from all rows made, and belongs into the provenance."""
        return {}


class Pools:
    """Rows to draw from, of each class; none may be empty."""

    def __init__(self, of_classes: list[NDArray[np.int64]]) -> None:
        self.rows = np.concatenate(of_classes)
        self.sizes = np.array([len(rows) for rows in of_classes])
        self.starts = np.cumsum(self.sizes) - self.sizes

    def draw(
        self,
        classes: NDArray[np.int64],  # (n,)
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:  # (n,)
        """Return for each class one row of its pool, uniformly and with replacement."""
        picks = np.floor(rng.random(len(classes)) * self.sizes[classes]).astype(np.int64)
        drawn: NDArray[np.int64] = self.rows[self.starts[classes] + picks]
        return drawn


class Parents:
    """ID latents by class, to draw parents from."""

    def __init__(self, latents: Latents, device: torch.device) -> None:
        self.values = latents.values.to(device)
        self.labels = latents.labels
        self.header = latents.header
        self.class_names = latents.class_names
        self.members = [np.flatnonzero(latents.labels == label) for label in range(len(latents.class_names))]
        self.pools = Pools(self.members)
        self._run = RUN if len(self.members) > BLOCK_ROWS // RUN else 1
        if empty := [name for name, rows in zip(self.class_names, self.members, strict=True) if not len(rows)]:
            raise ValueError(f"no ID latents of class {', '.join(empty)}")

    def latents(self, rows: NDArray[np.int64]) -> Tensor:  # (n, c, h, w)
        """Return a copy of the latents numbered `rows` (n,); `index_select` is faster than indexing."""
        return self.values.index_select(0, torch.from_numpy(rows).to(self.values.device))

    def cycle(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the class of each row: all classes in turn, so that every store is balanced."""
        return rows // self._run % len(self.members)

    def kinds(self, rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the number of each row's kind, of `count`: in turn too, among the rows of each class."""
        return (rows % self._run + rows // (self._run * len(self.members))) % count


def block_generator(seed: int, method: str, block: int) -> np.random.Generator:
    """Return the counter-based generator of one block: it depends on nothing but these three."""
    name = int(digest(method.encode())[:16], 16)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, name, block])))


def block_rows(block: int) -> NDArray[np.int64]:
    """Return the row numbers of a block; always all of them, so that a row is the same in a store of any size."""
    return np.arange(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
