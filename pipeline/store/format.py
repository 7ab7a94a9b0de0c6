"""The format of a store on disk, defined once for its writer and its reader.

zarr.json        group attributes: the header below
latent/          (rows, c, h, w) float16; one chunk file is one shard; crc32c, no compressor
<column>/        (rows,) one value per row; chunked like `latent`
manifest.json    written last: rows, shards, and size, SHA-256 and (of a chunk) CRC-32C of every other file

`docs/shards.md` describes it for other tools.
"""

from collections.abc import Mapping
from typing import Any, BinaryIO, Literal, Self

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pipeline.runtime.files import json_bytes
from pipeline.store.digest import new_digest

FORMAT = "latent-outliers-store/2"
MANIFEST = "manifest.json"
LATENT = "latent"
LATENT_DTYPE = np.dtype("<f2")
BLOCK_ROWS = 256
"""Rows that share a random generator and a computation. If a store has more than one shard, its shards are cut at
multiples of it."""
SHARD_BYTES = 64 * 2**20
"""Target size of a shard: large enough to write at disk speed, small enough to be a unit of work to resume."""
CRC_BYTES = 4
"""A chunk file ends with the CRC-32C of its values, little-endian, as zarr's codec writes it."""
PIECE_BYTES = 2**19
"""Files are read and written in pieces. They stay in the processor's cache between copying and checking."""


class Frozen(BaseModel):
    """A part of the header or manifest: immutable and without unknown fields, so that a reader never guesses."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class LatentSpace(Frozen):
    """The space of latents; rows of two spaces must never be used together."""

    encoder: str = Field(alias="autoencoder")
    """Digest of the encoder's folder; format 2 calls it `autoencoder`, as it did when there was no other encoder."""
    scaling_factor: float
    """Factor on the latents by convention of the encoder's authors; 1 where they have none."""
    image_size: int
    """Side in pixels of the encoded images."""
    shape: tuple[int, int, int]
    """Channels, height, width."""


class Standardisation(Frozen):
    """Statistics per channel of the scaled latents of a set: standardised = (scaled - mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Header(Frozen):
    """The attributes of a store: everything that determines its bytes, and nothing else."""

    format: Literal["latent-outliers-store/2"]
    kind: Literal["latents", "outliers"]
    rows: int
    rows_per_shard: int
    columns: dict[str, str]
    """Name of each column besides `latent`, and its NumPy dtype."""
    space: LatentSpace
    standardisation: Standardisation
    """kind latents: the statistics of these rows, not applied. kind outliers: those applied to these rows."""
    class_names: tuple[str, ...]
    provenance: dict[str, Any]
    """How the rows were made: method, parameters, seed, digests of the inputs."""


class FileEntry(Frozen):
    """The size and checksums of a file."""

    bytes: int
    sha256: str
    crc32c: int | None
    """For a chunk, the checksum of its values, equal to its last four bytes; for metadata, None."""


class Manifest(Frozen):
    """The list of a finished store's files with their checksums, and a digest of the list itself."""

    format: Literal["latent-outliers-store/2"]
    rows: int
    shards: int
    files: dict[str, FileEntry]
    sha256: str

    @classmethod
    def seal(cls, rows: int, shards: int, files: dict[str, FileEntry]) -> Self:
        """Return a manifest of `files` with its digest."""
        draft = cls(format=FORMAT, rows=rows, shards=shards, files=files, sha256="")
        return draft.model_copy(update={"sha256": seal_digest(draft.model_dump(mode="json"))})


def seal_digest(fields: Mapping[str, Any]) -> str:
    """Return the digest in a manifest of any format: of its other fields, as JSON."""
    content = {name: value for name, value in fields.items() if name != "sha256"}
    return new_digest(json_bytes(content)).hexdigest()


def rows_per_shard(rows: int, row_bytes: int) -> int:
    """Return the number of rows per shard: about SHARD_BYTES, and shards of nearly equal size, to avoid padding.

    A single shard holds exactly `rows`. If there are more, each holds a multiple of BLOCK_ROWS.
    """
    most = max(BLOCK_ROWS, SHARD_BYTES // row_bytes // BLOCK_ROWS * BLOCK_ROWS)
    if rows <= most:
        return rows
    shards = -(-rows // most)
    return -(-rows // shards // BLOCK_ROWS) * BLOCK_ROWS


def shard_ranges(rows: int, per_shard: int) -> list[range]:
    """Return the row numbers of each shard."""
    return [range(start, min(start + per_shard, rows)) for start in range(0, rows, per_shard)]


def file_sizes(header: Header) -> dict[str, int | None]:
    """Return the files of a store except its manifest, with the size in bytes of each chunk; None for metadata."""
    row_bytes = {name: np.dtype(kind).itemsize for name, kind in header.columns.items()}
    row_bytes[LATENT] = LATENT_DTYPE.itemsize * int(np.prod(header.space.shape))
    sizes: dict[str, int | None] = {"zarr.json": None, **{f"{array}/zarr.json": None for array in row_bytes}}
    for array, size in row_bytes.items():
        for shard in range(len(shard_ranges(header.rows, header.rows_per_shard))):
            sizes[chunk_file(array, shard)] = header.rows_per_shard * size + CRC_BYTES
    return sizes


def chunk_file(array: str, shard: int) -> str:
    """Return the path of a chunk inside the store, by zarr v3's default chunk key encoding."""
    return f"{LATENT}/c/{shard}/0/0/0" if array == LATENT else f"{array}/c/{shard}"


def checksum(stream: BinaryIO, length: int, into: NDArray[np.uint8] | None = None) -> int:
    """Read `length` bytes, the first of them into `into`, and return the CRC-32C of all bytes read.

    If a stream ends early, the result is the checksum of fewer bytes, which matches no manifest.
    """
    crc, done, kept = 0, 0, 0 if into is None else len(into)
    scratch = np.empty(max(0, min(PIECE_BYTES, length - kept)), np.uint8)
    while done < length:
        piece = into[done : done + PIECE_BYTES] if into is not None and done < kept else scratch[: length - done]
        count = stream.readinto(piece.data)  # type: ignore[attr-defined]  # typing's BinaryIO lacks it
        if not count:
            break
        crc = google_crc32c.extend(crc, piece[:count])
        done += count
    return crc
