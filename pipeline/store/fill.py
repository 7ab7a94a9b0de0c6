"""Fill a store shard by shard: one after the other on this machine, or each as a task of a Ray cluster."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.cluster import RayPool
from pipeline.errors import UnitError
from pipeline.progress import progress
from pipeline.store.format import LATENT_DTYPE, FileEntry
from pipeline.store.writer import StoreWriter

Rows = Callable[[range, NDArray[np.float16]], Iterable[Mapping[str, NDArray[Any]]]]
"""Writes the latents of a range into an array (n, c, h, w), and yields the columns (m,) of consecutive parts of it, as
they are done."""


class Recipe(Hashable, Protocol):
    """How to make the rows of one store: small enough to travel, and told from others by its hash."""

    def load(self) -> Rows:
        """Read whatever the rows are made of, in the process that makes them."""
        ...


@dataclass(frozen=True)
class Tasks:
    """Where to make shards, if not here."""

    ray: str
    """Address of the cluster."""
    recipe: Recipe
    threads: int
    """Of PyTorch, in each task."""


def fill(writer: StoreWriter, make: Rows, what: str, tasks: Tasks | None = None) -> None:
    """Write the shards that are missing, with a bar of all rows.

    make: how this process makes rows; tasks: how those of a cluster do, to the same bytes. The shards of a task that
    was lost are made again; the first error ends the others, and shards that were finished are kept.
    """
    missing = writer.missing_shards()
    already = writer.rows - sum(len(writer.shards[shard]) for shard in missing)
    with progress(what, writer.rows, already) as advance:
        if tasks is not None and missing:
            _fill_by_tasks(writer, missing, tasks, advance)
        else:
            for shard in missing:
                _write(writer, shard, make, advance)


def _fill_by_tasks(writer: StoreWriter, missing: Sequence[int], tasks: Tasks, advance: Callable[[int], None]) -> None:
    with RayPool(tasks.ray, tasks.threads) as pool:
        shards = {pool.submit(_make_shard, tasks.recipe, writer, shard): shard for shard in missing}
        for future in as_completed(shards):
            shard = shards[future]
            try:
                writer.adopt(future.result())
            except BrokenExecutor as error:
                raise UnitError(f"shard {shard}", f"the processes that made it died ({error})") from error
            advance(len(writer.shards[shard]))


def _make_shard(recipe: Recipe, writer: StoreWriter, shard: int) -> dict[str, FileEntry]:
    """Make one shard in a worker process; return what the manifest is to promise of its files, all on disk by then."""
    _write(writer, shard, _loaded(recipe), lambda _: None)
    return writer.sealed()


@lru_cache(maxsize=1)
def _loaded(recipe: Recipe) -> Rows:
    """Return the rows of a recipe, which is read once per worker process."""
    return recipe.load()


def _write(writer: StoreWriter, shard: int, make: Rows, advance: Callable[[int], None]) -> None:
    rows = writer.shards[shard]
    latents = np.empty((len(rows), *writer.latent_shape), LATENT_DTYPE)
    columns = {name: np.empty(len(rows), dtype) for name, dtype in writer.columns.items()}
    done = 0
    for part in make(rows, latents):
        here = slice(done, done + len(next(iter(part.values()))))
        for name, column in columns.items():
            column[here] = part[name]
        advance(here.stop - done)
        done = here.stop
    if done != len(rows):
        raise ValueError(f"made {done} rows of {len(rows)}")
    writer.write_shard(shard, latents, columns)
