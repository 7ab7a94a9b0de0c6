"""Write a store shard by shard, in any order: a shard is whole or absent, and a killed run can be resumed."""

import errno
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

from pipeline.runtime.errors import ModelError
from pipeline.runtime.files import MANIFEST, read_json, remove_partial_files, write_json, write_pieces
from pipeline.store.checksum import checksum
from pipeline.store.digest import Digest, file_digest, new_digest
from pipeline.store.format import (
    CRC_BYTES,
    FORMAT,
    LATENT,
    LATENT_DTYPE,
    PIECE_BYTES,
    FileEntry,
    Header,
    Manifest,
    chunk_file,
    rows_per_shard,
    shard_ranges,
)

BACKGROUND_THREADS = 3
"""Threads that digest and sync written files, beside the thread that writes; syncing mostly waits."""
BACKGROUND_SHARDS = 2
"""Shards that may wait for their digest, in memory until then."""


@dataclass(frozen=True)
class UnsealedFile:
    """A chunk file that is written, but whose digest is not finished."""

    name: str
    size: int
    crc32c: int
    digest_of_values: Future[Digest]


class StoreWriter:
    """A writer of a store, or of some of its shards; a reader opens the folder only after `finish`.

    columns: name and dtype of the values of each row besides its latent. per_shard: rows of a shard; by default the
    result of `rows_per_shard`.

    Digests are computed and files are synced in the background, while the caller makes the next shard. So latents given
    to `write_shard` must not change afterwards. The digests of finished files are remembered, so that `finish` reads no
    file again.
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
        self._sealed: dict[str, FileEntry] = {}
        self._background = ThreadPoolExecutor(BACKGROUND_THREADS)
        self._unsealed: deque[UnsealedFile] = deque()
        self._syncing: list[Future[None]] = []

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as a new writer of the same store, without the record of files that this writer wrote."""
        return StoreWriter, (self.folder, self.rows, self.latent_shape, self.columns, self.rows_per_shard)

    def missing_shards(self) -> list[int]:
        """Return the shards that are absent or damaged on disk: those to write before `finish`."""
        names = [chunk_file(array, shard) for array in self._arrays for shard in range(len(self.shards))]
        entries = self._background.map(lambda name: _whole_chunk(self.folder / name), names)
        self._sealed = {name: entry for name, entry in zip(names, entries, strict=True) if entry is not None}
        return self._unwritten()

    def write_shard(
        self,
        shard: int,
        latent: NDArray[np.float16],  # (rows of the shard, c, h, w)
        columns: Mapping[str, NDArray[Any]],  # each (rows of the shard,)
    ) -> None:
        """Write all chunk files of a shard; the last shard is padded to full size, as zarr requires."""
        rows = len(self.shards[shard])
        if latent.shape != (rows, *self.latent_shape) or set(columns) != set(self.columns):
            raise ValueError(f"shard {shard}: got latents {latent.shape} and columns {sorted(columns)}")
        for name, dtype in self.columns.items():
            self._write_chunk(name, shard, columns[name], dtype)
        self._write_chunk(LATENT, shard, latent, LATENT_DTYPE)
        self._seal_files(at_most=BACKGROUND_SHARDS * len(self._arrays))

    def read_back(self, array: str, shard: int) -> NDArray[Any]:
        """Return the rows of a shard that is already on disk: `latent` (rows, c, h, w), a column (rows,)."""
        inner = self.latent_shape if array == LATENT else ()
        content = (self.folder / chunk_file(array, shard)).read_bytes()
        return np.frombuffer(content[:-CRC_BYTES], self._arrays[array]).reshape(-1, *inner)[: len(self.shards[shard])]

    def sealed(self) -> dict[str, FileEntry]:
        """Wait until all written files are on disk; return their entries, for the writer that finishes the store."""
        self._seal_files(at_most=0)
        self._sync_all()
        return dict(self._sealed)

    def adopt(self, files: Mapping[str, FileEntry]) -> None:
        """Add the files that another writer of the same store has sealed."""
        self._sealed.update(files)

    def finish(self, **facts: Any) -> None:
        """Wait until all shards are on disk, write the metadata, and seal the store with its manifest.

        facts: the other fields of `Header`. Raises OSError when a file could not be written in full.
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
        manifest = Manifest.seal(self.rows, len(self.shards), {**self._sealed, **metadata})
        write_json(self.folder / MANIFEST, manifest.model_dump(mode="json"))

    def _unwritten(self) -> list[int]:
        shards = range(len(self.shards))
        return [i for i in shards if any(chunk_file(array, i) not in self._sealed for array in self._arrays)]

    def _write_chunk(self, array: str, shard: int, values: NDArray[Any], dtype: np.dtype[Any]) -> None:
        chunk = np.ascontiguousarray(values, dtype)
        if len(chunk) < self.rows_per_shard:
            padded = np.full((self.rows_per_shard, *chunk.shape[1:]), _fill_value(dtype), dtype)
            padded[: len(chunk)] = chunk
            chunk = padded
        values_bytes = chunk.reshape(-1).view(np.uint8)
        digest = self._background.submit(new_digest, values_bytes.data)
        name, crc32c = chunk_file(array, shard), 0

        def pieces() -> Iterator[bytes | memoryview]:
            nonlocal crc32c
            for start in range(0, len(values_bytes), PIECE_BYTES):
                piece = values_bytes[start : start + PIECE_BYTES]
                crc32c = google_crc32c.extend(crc32c, piece)
                yield piece.data
            yield crc32c.to_bytes(CRC_BYTES, "little")

        write_pieces(self.folder / name, pieces(), sync=False)
        self._unsealed.append(UnsealedFile(name, chunk.nbytes + CRC_BYTES, crc32c, digest))
        if array == LATENT:
            self._syncing.append(self._background.submit(_sync, self.folder / name, chunk.nbytes + CRC_BYTES))

    def _seal_files(self, at_most: int) -> None:
        """Wait until at most `at_most` files are not sealed."""
        while len(self._unsealed) > at_most:
            file = self._unsealed.popleft()
            digest = file.digest_of_values.result()
            digest.update(file.crc32c.to_bytes(CRC_BYTES, "little"))
            self._sealed[file.name] = FileEntry(bytes=file.size, sha256=digest.hexdigest(), crc32c=file.crc32c)

    def _sync_all(self) -> None:
        """Wait until every file is on disk; the small files of columns together, in one commit of the file system."""
        columns = [name for name in self._sealed if not name.startswith(f"{LATENT}/")]
        sync = [self._background.submit(_sync, self.folder / name, self._sealed[name].bytes) for name in columns]
        for synced in (*self._syncing, *sync):
            synced.result()

    def _write_metadata(self, header: Header) -> dict[str, FileEntry]:
        """Let zarr-python write the metadata of the group and its arrays, then write it again with sorted keys."""
        import zarr
        from zarr.codecs import Crc32cCodec

        for stale_file in self.folder.rglob("zarr.json"):
            stale_file.unlink()
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
    subject: str,  # of an error
    into: NDArray[np.float16] | None = None,  # (rows, c, h, w)
) -> NDArray[np.float16]:  # (rows, c, h, w)
    """Return `values` in the dtype of a store, written to `into` if it is given.

    Raises ModelError, which names `subject`, unless they are finite in that dtype.
    """
    import torch  # it is loaded wherever latents are made, and it converts several times as fast as NumPy

    tensor = torch.from_numpy(values)
    low, high = (float(bound) for bound in tensor.aminmax())
    if not max(-low, high) <= float(np.finfo(LATENT_DTYPE).max):
        raise ModelError(f"{subject}: values reach {max(-low, high)}, wanted finite ones within float16.")
    if into is None:
        return tensor.half().numpy()
    torch.from_numpy(into).copy_(tensor)
    return into


def _fill_value(dtype: np.dtype[Any]) -> Any:
    return np.array(np.nan if dtype.kind == "f" else 0, dtype)[()]


def _sync(chunk: Path, size: int) -> None:
    """Wait until a file is on disk; raises OSError when it has another size there."""
    with chunk.open("rb", buffering=0) as stream:
        os.fsync(stream.fileno())
        if os.fstat(stream.fileno()).st_size != size:
            raise OSError(errno.EIO, "shorter than what was written", str(chunk))


def _whole_chunk(chunk: Path) -> FileEntry | None:
    """Return the entry of a chunk file of an earlier run, or None when the file is absent or damaged."""
    if not chunk.is_file() or (size := chunk.stat().st_size) <= CRC_BYTES:
        return None
    with chunk.open("rb", buffering=0) as stream:
        crc32c = checksum(stream, size - CRC_BYTES)
        if stream.read(CRC_BYTES) != crc32c.to_bytes(CRC_BYTES, "little"):
            return None
        os.fsync(stream.fileno())
    return FileEntry(bytes=size, sha256=file_digest(chunk), crc32c=crc32c)
