"""Write a store shard by shard: a shard is whole or absent, in any order, and a killed run is resumed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.files import file_digest, folder_files, read_json, remove_partial_files, write_bytes, write_json
from pipeline.store.format import (
    CRC_BYTES,
    FORMAT,
    LATENT,
    LATENT_DTYPE,
    MANIFEST,
    FileEntry,
    Header,
    Manifest,
    chunk_file,
    rows_per_shard,
    shard_ranges,
)


class StoreWriter:
    """One writer of one store; only `finish` makes the folder a store that a reader will open.

    columns: name and dtype of what is kept for each row beside its latent.
    """

    def __init__(
        self, folder: Path, rows: int, latent_shape: tuple[int, int, int], columns: Mapping[str, np.dtype[Any]]
    ) -> None:
        if rows < 1:
            raise ValueError(f"a store holds at least one row, got {rows}")
        self.folder = folder
        self.rows = rows
        self.latent_shape = latent_shape
        self.columns = dict(columns)
        row_bytes = LATENT_DTYPE.itemsize * int(np.prod(latent_shape))
        self.rows_per_shard = rows_per_shard(rows, row_bytes)
        self.shards = shard_ranges(rows, self.rows_per_shard)

    def missing_shards(self) -> list[int]:
        """Return the shards that are not yet, or not rightly, on disk."""
        return [shard for shard in range(len(self.shards)) if not self._is_whole(shard)]

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

    def read_back(self, array: str, shard: int) -> NDArray[Any]:
        """Return the rows of a shard that is already on disk: of `latent` (rows, c, h, w), of a column (rows,)."""
        dtype, inner = (LATENT_DTYPE, self.latent_shape) if array == LATENT else (self.columns[array], ())
        content = (self.folder / chunk_file(array, shard)).read_bytes()
        return np.frombuffer(content[:-CRC_BYTES], dtype).reshape(-1, *inner)[: len(self.shards[shard])]

    def finish(self, **facts: Any) -> None:
        """Write the metadata, read every file back, and seal the store with its manifest.

        facts: the fields of `Header` that the writer does not know itself.
        """
        if missing := self.missing_shards():
            raise RuntimeError(f"{self.folder}: shards {missing} are not written")
        header = Header(
            format=FORMAT,
            rows=self.rows,
            rows_per_shard=self.rows_per_shard,
            columns={name: dtype.str for name, dtype in self.columns.items()},
            **facts,
        )
        (self.folder / MANIFEST).unlink(missing_ok=True)
        self._write_metadata(header)
        remove_partial_files(self.folder)
        files = {
            path.relative_to(self.folder).as_posix(): FileEntry(bytes=path.stat().st_size, sha256=file_digest(path))
            for path in folder_files(self.folder)
        }
        manifest = Manifest.seal(self.rows, len(self.shards), files)
        write_json(self.folder / MANIFEST, manifest.model_dump(mode="json"))

    def _write_chunk(self, array: str, shard: int, values: NDArray[Any], dtype: np.dtype[Any]) -> None:
        chunk = np.ascontiguousarray(values, dtype)
        if len(chunk) < self.rows_per_shard:
            padded = np.full((self.rows_per_shard, *chunk.shape[1:]), _fill_value(dtype), dtype)
            padded[: len(chunk)] = chunk
            chunk = padded
        crc = google_crc32c.value(chunk).to_bytes(CRC_BYTES, "little")
        write_bytes(self.folder / chunk_file(array, shard), chunk.data, crc)

    def _is_whole(self, shard: int) -> bool:
        return all(_crc_matches(self.folder / chunk_file(name, shard)) for name in (*self.columns, LATENT))

    def _write_metadata(self, header: Header) -> None:
        """Let zarr-python write the metadata of the group and its arrays, then spell it in sorted order."""
        import zarr
        from zarr.codecs import Crc32cCodec

        for left_by_a_killed_run in self.folder.rglob("zarr.json"):
            left_by_a_killed_run.unlink()
        group = zarr.open_group(self.folder, mode="a", zarr_format=3, attributes=header.model_dump(mode="json"))
        for name, dtype in {**self.columns, LATENT: LATENT_DTYPE}.items():
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
        for path in self.folder.rglob("zarr.json"):
            write_json(path, read_json(path))


def as_latents(
    values: NDArray[np.float32],  # (rows, c, h, w)
    what: str,
) -> NDArray[np.float16]:  # (rows, c, h, w)
    """Return `values` as a store holds them; raises ModelError, which names `what`, unless they are finite there."""
    reach = np.abs(values).max()
    if not reach <= np.finfo(LATENT_DTYPE).max:
        raise ModelError(f"{what}: values reach {reach}, wanted finite ones within float16.")
    return values.astype(LATENT_DTYPE)


def _fill_value(dtype: np.dtype[Any]) -> Any:
    return np.array(np.nan if dtype.kind == "f" else 0, dtype)[()]


def _crc_matches(chunk: Path) -> bool:
    if not chunk.is_file():
        return False
    content = np.fromfile(chunk, np.uint8)
    wanted = google_crc32c.value(content[:-CRC_BYTES]).to_bytes(CRC_BYTES, "little")
    return len(content) > CRC_BYTES and content[-CRC_BYTES:].tobytes() == wanted
