"""Rows of a store in any order, from memory-mapped shards: the system's file cache is the only copy in memory."""

from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.errors import DamagedStoreError
from pipeline.store.format import CRC_BYTES, LATENT, LATENT_DTYPE, chunk_file
from pipeline.store.reader import Store


class RowPool:
    """The latents of a store on this machine, read a few rows at a time.

    Processes that read the same store share its memory. A store larger than memory is read from disk as needed. A shard
    is checked against the manifest when its first row is read; raises DamagedStoreError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder)
        self.header = self.store.header
        self._shards: list[NDArray[np.float16] | None] = [None] * len(self.store.shards)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.header.rows

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:  # (m,) -> (m, c, h, w)
        """Return the given rows, in their order; IndexError when a row does not exist (a shard may be padded)."""
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        values = np.empty((len(rows), *self.header.space.shape), LATENT_DTYPE)
        shards, positions = np.divmod(rows, self.header.rows_per_shard)
        for row, (shard, position) in enumerate(zip(shards.tolist(), positions.tolist(), strict=True)):
            values[row] = (self._shards[shard] if self._shards[shard] is not None else self._open(shard))[position]
        return values

    def _open(self, shard: int) -> NDArray[np.float16]:
        """Map a shard into memory; its checksum reads all of it once."""
        file = chunk_file(LATENT, shard)
        entry = self.store.manifest.files[file]
        with self.store.source.open(file) as stream:
            content = np.memmap(stream, np.uint8, "r")[: entry.bytes - CRC_BYTES]
        if (crc32c := google_crc32c.value(content)) != entry.crc32c:
            raise DamagedStoreError(self.folder / file, f"CRC-32C {crc32c}", f"{entry.crc32c}")
        mapped = np.asarray(content).view(LATENT_DTYPE).reshape(-1, *self.header.space.shape)
        self._shards[shard] = mapped
        return mapped
