"""Fill a store shard by shard: one after another on this machine, or each as a task of a Ray cluster."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.cluster import RayPool
from pipeline.runtime.errors import UnitError
from pipeline.runtime.progress import progress
from pipeline.store.format import LATENT_DTYPE, FileEntry
from pipeline.store.writer import StoreWriter

MakeRows = Callable[[range, NDArray[np.float16]], Iterable[Mapping[str, NDArray[Any]]]]
"""A function that writes the latents of a range of rows into an array (n, c, h, w). It yields the columns (m,) of
consecutive parts of the range, each part as soon as it is done."""


class RowSource(Hashable, Protocol):
    """A description of how to make the rows of a store: small enough to send to a task, and identified by its hash."""

    def load(self) -> MakeRows:
        """Read the inputs of the rows, in the process that makes the rows."""
        ...


@dataclass(frozen=True)
class Tasks:
    """The tasks of a Ray cluster that make shards."""

    ray: str
    """Address of the cluster."""
    source: RowSource
    threads: int
    """Number of PyTorch threads in each task."""


def fill(writer: StoreWriter, make: MakeRows, title: str, tasks: Tasks | None = None) -> None:
    """Write the shards that are missing, with a progress bar over all rows.

    make: how this process makes rows; tasks: how the tasks of a cluster make the same bytes. The shards of a lost task
    are made again. The first error ends the other tasks, and finished shards are kept.
    """
    missing = writer.missing_shards()
    finished_rows = writer.rows - sum(len(writer.shards[shard]) for shard in missing)
    with progress(title, writer.rows, finished_rows) as advance:
        if tasks is not None and missing:
            _fill_by_tasks(writer, missing, tasks, advance)
        else:
            for shard in missing:
                _write(writer, shard, make, advance)


def _fill_by_tasks(writer: StoreWriter, missing: Sequence[int], tasks: Tasks, advance: Callable[[int], None]) -> None:
    with RayPool(tasks.ray, tasks.threads) as pool:
        shards = {pool.submit(_make_shard, tasks.source, writer, shard): shard for shard in missing}
        for future in as_completed(shards):
            shard = shards[future]
            try:
                writer.adopt(future.result())
            except BrokenExecutor as error:
                raise UnitError(f"shard {shard}", f"the processes that made it died ({error})") from error
            advance(len(writer.shards[shard]))


def _make_shard(source: RowSource, writer: StoreWriter, shard: int) -> dict[str, FileEntry]:
    """Make a shard in a worker process; return the manifest entries of its files, which are then on disk."""
    _write(writer, shard, _loaded(source), lambda _: None)
    return writer.sealed()


@lru_cache(maxsize=1)
def _loaded(source: RowSource) -> MakeRows:
    """Load a source, once per worker process."""
    return source.load()


def _write(writer: StoreWriter, shard: int, make: MakeRows, advance: Callable[[int], None]) -> None:
    rows = writer.shards[shard]
    latents = np.empty((len(rows), *writer.latent_shape), LATENT_DTYPE)
    columns = {name: np.empty(len(rows), dtype) for name, dtype in writer.columns.items()}
    done = 0
    for part in make(rows, latents):
        positions = slice(done, done + len(next(iter(part.values()))))
        for name, column in columns.items():
            column[positions] = part[name]
        advance(positions.stop - done)
        done = positions.stop
    if done != len(rows):
        raise ValueError(f"made {done} rows of {len(rows)}")
    writer.write_shard(shard, latents, columns)
