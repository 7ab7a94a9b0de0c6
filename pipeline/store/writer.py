"""Write a store shard by shard: a shard is whole or absent, in any order, and a killed run is resumed."""

import errno
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.files import file_digest, read_json, remove_partial_files, write_json, write_pieces
from pipeline.store.format import (
    CRC_BYTES,
    FORMAT,
    LATENT,
    LATENT_DTYPE,
    MANIFEST,
    PIECE_BYTES,
    FileEntry,
    Header,
    Manifest,
    checksum,
    chunk_file,
    rows_per_shard,
    shard_ranges,
)

BEHIND = 3
"""Threads that digest and sync what was written, beside the one that writes; syncing mostly waits."""
SHARDS_BEHIND = 2
"""Shards that may wait for it, held in memory until then."""


@dataclass(frozen=True)
class Sealing:
    """A chunk file that is written, but not digested yet."""

    name: str
    bytes: int
    crc32c: int
    sha256_of_values: Future["hashlib._Hash"]


class StoreWriter:
    """A writer of one store, or of some of its shards; only `finish` makes the folder a store that a reader will open.

    columns: name and dtype of what is kept for each row beside its latent. per_shard: rows of a shard, where they are
    settled; by default as `rows_per_shard` has it.

    Digests are computed and files are synced behind the caller's back, while the next shard is made: latents given to
    `write_shard` must not change afterwards. What was found or written whole is remembered, so that `finish` reads
    nothing again.
    """

    def __init__(
        self,
        folder: Path,
        rows: int,
        latent_shape: tuple[int, int, int],
        columns: Mapping[str, np.dtype[Any]],
        per_shard: int | None = None,
    ) -> None:
        if rows < 1:
            raise ValueError(f"a store holds at least one row, got {rows}")
        self.folder = folder
        self.rows = rows
        self.latent_shape = latent_shape
        self.columns = dict(columns)
        row_bytes = LATENT_DTYPE.itemsize * int(np.prod(latent_shape))
        self.rows_per_shard = per_shard or rows_per_shard(rows, row_bytes)
        self.shards = shard_ranges(rows, self.rows_per_shard)
        self._arrays = {**self.columns, LATENT: LATENT_DTYPE}
        self._whole: dict[str, FileEntry] = {}
        self._behind = ThreadPoolExecutor(BEHIND)
        self._sealing: deque[Sealing] = deque()
        self._syncing: list[Future[None]] = []

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as another writer of the same store, which knows nothing of what this one wrote."""
        return StoreWriter, (self.folder, self.rows, self.latent_shape, self.columns, self.rows_per_shard)

    def missing_shards(self) -> list[int]:
        """Return the shards that are not yet, or not rightly, on disk: those to write before `finish`."""
        names = [chunk_file(array, shard) for array in self._arrays for shard in range(len(self.shards))]
        found = zip(names, self._behind.map(lambda name: _whole_chunk(self.folder / name), names), strict=True)
        self._whole = {name: entry for name, entry in found if entry is not None}
        return self._unwritten()

    def write_shard(
        self,
        shard: int,
        latent: NDArray[np.float16],  # (rows of the shard, c, h, w)
        columns: Mapping[str, NDArray[Any]],  # each (rows of the shard,)
    ) -> None:
        """Write all chunk files of one shard; the last shard is padded to full size, as zarr wants it."""
        rows = len(self.shards[shard])
        if latent.shape != (rows, *self.latent_shape) or set(columns) != set(self.columns):
            raise ValueError(f"shard {shard}: got latents {latent.shape} and columns {sorted(columns)}")
        for name, dtype in self.columns.items():
            self._write_chunk(name, shard, columns[name], dtype)
        self._write_chunk(LATENT, shard, latent, LATENT_DTYPE)
        self._settle(at_most=SHARDS_BEHIND * len(self._arrays))

    def read_back(self, array: str, shard: int) -> NDArray[Any]:
        """Return the rows of a shard that is already on disk: of `latent` (rows, c, h, w), of a column (rows,)."""
        inner = self.latent_shape if array == LATENT else ()
        content = (self.folder / chunk_file(array, shard)).read_bytes()
        return np.frombuffer(content[:-CRC_BYTES], self._arrays[array]).reshape(-1, *inner)[: len(self.shards[shard])]

    def sealed(self) -> dict[str, FileEntry]:
        """Wait until what was written is on disk; return what can be promised of it, for the writer that finishes."""
        self._settle(at_most=0)
        self._sync_all()
        return dict(self._whole)

    def adopt(self, files: Mapping[str, FileEntry]) -> None:
        """Take over what another writer of the same store has sealed."""
        self._whole.update(files)

    def finish(self, **facts: Any) -> None:
        """Wait until all shards are on disk, write the metadata, and seal the store with its manifest.

        facts: the fields of `Header` that the writer does not know itself. Raises OSError when a file could not be
        written in full.
        """
        self.sealed()
        if missing := self._unwritten():
            raise RuntimeError(f"{self.folder}: shards {missing} are not written")
        header = Header(
            format=FORMAT,
            rows=self.rows,
            rows_per_shard=self.rows_per_shard,
            columns={name: dtype.str for name, dtype in self.columns.items()},
            **facts,
        )
        (self.folder / MANIFEST).unlink(missing_ok=True)
        metadata = self._write_metadata(header)
        remove_partial_files(self.folder)
        manifest = Manifest.seal(self.rows, len(self.shards), {**self._whole, **metadata})
        write_json(self.folder / MANIFEST, manifest.model_dump(mode="json"))

    def _unwritten(self) -> list[int]:
        shards = range(len(self.shards))
        return [i for i in shards if any(chunk_file(array, i) not in self._whole for array in self._arrays)]

    def _write_chunk(self, array: str, shard: int, values: NDArray[Any], dtype: np.dtype[Any]) -> None:
        chunk = np.ascontiguousarray(values, dtype)
        if len(chunk) < self.rows_per_shard:
            padded = np.full((self.rows_per_shard, *chunk.shape[1:]), _fill_value(dtype), dtype)
            padded[: len(chunk)] = chunk
            chunk = padded
        values_bytes = chunk.reshape(-1).view(np.uint8)
        sha256 = self._behind.submit(hashlib.sha256, values_bytes.data)
        name, crc32c = chunk_file(array, shard), 0

        def pieces() -> Iterator[bytes | memoryview]:
            nonlocal crc32c
            for start in range(0, len(values_bytes), PIECE_BYTES):
                piece = values_bytes[start : start + PIECE_BYTES]
                crc32c = google_crc32c.extend(crc32c, piece)
                yield piece.data
            yield crc32c.to_bytes(CRC_BYTES, "little")

        write_pieces(self.folder / name, pieces(), sync=False)
        self._sealing.append(Sealing(name, chunk.nbytes + CRC_BYTES, crc32c, sha256))
        if array == LATENT:
            self._syncing.append(self._behind.submit(_sync, self.folder / name, chunk.nbytes + CRC_BYTES))

    def _settle(self, at_most: int) -> None:
        """Wait until at most so many files are not yet sealed."""
        while len(self._sealing) > at_most:
            file = self._sealing.popleft()
            sha256 = file.sha256_of_values.result()
            sha256.update(file.crc32c.to_bytes(CRC_BYTES, "little"))
            self._whole[file.name] = FileEntry(bytes=file.bytes, sha256=sha256.hexdigest(), crc32c=file.crc32c)

    def _sync_all(self) -> None:
        """Wait until every file is on disk; the small ones of the columns together, which is one commit of the disk."""
        columns = [name for name in self._whole if not name.startswith(f"{LATENT}/")]
        sync = [self._behind.submit(_sync, self.folder / name, self._whole[name].bytes) for name in columns]
        for synced in (*self._syncing, *sync):
            synced.result()

    def _write_metadata(self, header: Header) -> dict[str, FileEntry]:
        """Let zarr-python write the metadata of the group and its arrays, then spell it in sorted order."""
        import zarr
        from zarr.codecs import Crc32cCodec

        for left_by_a_killed_run in self.folder.rglob("zarr.json"):
            left_by_a_killed_run.unlink()
        group = zarr.open_group(self.folder, mode="a", zarr_format=3, attributes=header.model_dump(mode="json"))
        for name, dtype in self._arrays.items():
            inner = self.latent_shape if name == LATENT else ()
            group.create_array(
                name,
                shape=(self.rows, *inner),
                chunks=(self.rows_per_shard, *inner),
                dtype=dtype,
                fill_value=_fill_value(dtype),
                filters=None,
                compressors=[Crc32cCodec()],
                overwrite=False,
            )
        entries = {}
        for path in self.folder.rglob("zarr.json"):
            write_json(path, read_json(path))
            entry = FileEntry(bytes=path.stat().st_size, sha256=file_digest(path), crc32c=None)
            entries[path.relative_to(self.folder).as_posix()] = entry
        return entries


def as_latents(
    values: NDArray[np.float32],  # (rows, c, h, w)
    what: str,
    into: NDArray[np.float16] | None = None,  # (rows, c, h, w)
) -> NDArray[np.float16]:  # (rows, c, h, w)
    """Return `values` as a store holds them, written to `into` where that is given.

    Raises ModelError, which names `what`, unless they are finite there.
    """
    import torch  # whoever has latents has it loaded, and it converts several times as fast as NumPy

    tensor = torch.from_numpy(values)
    low, high = (float(bound) for bound in tensor.aminmax())
    if not max(-low, high) <= float(np.finfo(LATENT_DTYPE).max):
        raise ModelError(f"{what}: values reach {max(-low, high)}, wanted finite ones within float16.")
    if into is None:
        return tensor.half().numpy()
    torch.from_numpy(into).copy_(tensor)
    return into


def _fill_value(dtype: np.dtype[Any]) -> Any:
    return np.array(np.nan if dtype.kind == "f" else 0, dtype)[()]


def _sync(chunk: Path, size: int) -> None:
    """Return when a file of this size is on disk; raises OSError when it is not whole there."""
    with chunk.open("rb", buffering=0) as stream:
        os.fsync(stream.fileno())
        if os.fstat(stream.fileno()).st_size != size:
            raise OSError(errno.EIO, "shorter than what was written", str(chunk))


def _whole_chunk(chunk: Path) -> FileEntry | None:
    """Return what can be promised of a chunk that an earlier run left, or None when it is not there or torn."""
    if not chunk.is_file() or (size := chunk.stat().st_size) <= CRC_BYTES:
        return None
    with chunk.open("rb", buffering=0) as stream:
        found = checksum(stream, size - CRC_BYTES)
        if stream.read(CRC_BYTES) != found.to_bytes(CRC_BYTES, "little"):
            return None
        os.fsync(stream.fileno())
    return FileEntry(bytes=size, sha256=file_digest(chunk), crc32c=found)
