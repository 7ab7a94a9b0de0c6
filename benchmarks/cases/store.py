"""Write and read stores of latents, against one raw file and a tensor."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.cases.case import Case
from pipeline.latents.latents import Latents, load_id_train
from pipeline.store.format import LatentSpace, Standardisation
from pipeline.store.pool import RowPool
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter

SHAPE = (4, 32, 32)
ROWS = 131_072  # 1 GiB
BATCH_ROWS, BATCHES = 256, 256
SPACE = LatentSpace(encoder="bench", scaling_factor=1.0, image_size=256, shape=SHAPE)
UNIT = Standardisation(mean=(0.0,) * 4, std=(1.0,) * 4)


def store_cases(folder: Path) -> dict[str, Case]:
    """Write and read 1 GiB of latents: our store against one raw file, both with fsync; batches against a tensor."""
    rows = random_rows(ROWS)
    raw, store, written = folder / "raw", folder / "store", folder / "written"
    write_raw(raw, rows)
    write_store(store, rows)
    pool, tensor = RowPool(store), torch.from_numpy(rows)
    batches = list(torch.randperm(ROWS).split(BATCH_ROWS))[:BATCHES]

    def clear() -> None:
        shutil.rmtree(written, ignore_errors=True)
        written.mkdir()

    return {
        "store_write_vs_raw_file": Case(
            lambda: write_raw(written / "raw", rows), lambda: write_store(written / "store", rows), 0.9, clear=clear
        ),
        "store_read_vs_raw_file": Case(lambda: np.fromfile(raw, np.float16), lambda: Store(store).latents(), 0.9),
        "shuffled_batches_vs_tensor_in_memory": Case(
            lambda: [tensor[batch].float() for batch in batches],
            lambda: [torch.from_numpy(pool.take(batch.numpy())).float() for batch in batches],
            0.8,
        ),
    }


def random_rows(count: int, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float16]:
    """Return latents as an autoencoder might give them: unit variance, nothing to compress."""
    return np.random.default_rng(0).standard_normal((count, *shape), np.float32).astype(np.float16)


def id_latents(folder: Path, count: int, classes: int) -> Latents:
    """Return random ID latents, as many of each class, through a store as everywhere."""
    write_store(folder, random_rows(count), (np.arange(count) % classes).astype(np.int32))
    return load_id_train(folder)


def write_store(
    folder: Path, rows: NDArray[np.float16], labels: NDArray[np.int32] | None = None, space: LatentSpace = SPACE
) -> None:
    """Write a whole store of latents, from nothing; without labels all rows are of one class."""
    labels = np.zeros(len(rows), np.int32) if labels is None else labels
    columns: dict[str, NDArray[Any]] = {"label": labels, "content": np.arange(len(rows), dtype=np.int64)}
    writer = StoreWriter(folder, len(rows), rows.shape[1:], {name: column.dtype for name, column in columns.items()})
    for shard, here in enumerate(writer.shards):
        part = slice(here.start, here.stop)
        writer.write_shard(shard, rows[part], {name: column[part] for name, column in columns.items()})
    names = tuple(str(label) for label in range(int(labels.max()) + 1))
    writer.finish(kind="latents", space=space, standardisation=UNIT, class_names=names, provenance={})


def write_raw(path: Path, rows: NDArray[np.float16]) -> None:
    """Write the bytes of `rows` and have them on disk."""
    with path.open("wb") as stream:
        rows.tofile(stream)
        stream.flush()
        os.fsync(stream.fileno())
