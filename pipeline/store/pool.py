"""Rows of a store in any order, from memory-mapped shards: the system's file cache is the only copy in memory."""

from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DamagedStoreError
from pipeline.store.format import CRC_BYTES, LATENT, LATENT_DTYPE, chunk_file
from pipeline.store.reader import Store


class RowPool:
    """The latents of a store on this machine, a few rows at a time.

    Processes that read the same store share its memory, and a store larger than memory is read from disk as needed.
    A shard is checked against the manifest when its first row is asked for; raises DamagedStoreError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder)
        self.header = self.store.header
        self._shards: list[NDArray[np.float16] | None] = [None] * len(self.store.shards)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self.header.rows

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:  # (m,) -> (m, c, h, w)
        """Return the given rows, in their order; IndexError when there is no such row (a shard may be padded)."""
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        values = np.empty((len(rows), *self.header.space.shape), LATENT_DTYPE)
        shards, places = np.divmod(rows, self.header.rows_per_shard)
        for row, (shard, place) in enumerate(zip(shards.tolist(), places.tolist(), strict=True)):
            values[row] = (self._shards[shard] if self._shards[shard] is not None else self._open(shard))[place]
        return values

    def _open(self, shard: int) -> NDArray[np.float16]:
        """Map a shard into memory; its checksum reads all of it once."""
        file = chunk_file(LATENT, shard)
        promised = self.store.manifest.files[file]
        content = np.memmap(self.folder / file, np.uint8, "r")[: promised.bytes - CRC_BYTES]
        if (found := google_crc32c.value(content)) != promised.crc32c:
            raise DamagedStoreError(self.folder / file, f"CRC-32C {found}", f"{promised.crc32c}")
        mapped = np.asarray(content).view(LATENT_DTYPE).reshape(-1, *self.header.space.shape)
        self._shards[shard] = mapped
        return mapped
