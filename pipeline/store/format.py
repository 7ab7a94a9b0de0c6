"""What a store looks like on disk, spelled once for its writer and its reader.

zarr.json        group attributes: the header below
latent/          (rows, c, h, w) float16; one chunk file is one shard; crc32c, no compressor
<column>/        (rows,) of one value per row; chunked like `latent`
manifest.json    written last: rows, shards, and size, SHA-256 and (of a chunk) CRC-32C of every other file

`docs/shards.md` describes it for other tools.
"""

from collections.abc import Mapping
from typing import Any, BinaryIO, Literal, Self

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipeline.files import digest, json_bytes

FORMAT = "latent-outliers-store/2"
MANIFEST = "manifest.json"
LATENT = "latent"
LATENT_DTYPE = np.dtype("<f2")
BLOCK_ROWS = 256
"""Rows that share one random generator and one computation; a shard of several is cut at a multiple of it."""
SHARD_BYTES = 64 * 2**20
"""Target size of a shard: large enough to write at disk speed, small enough to be a unit of work to resume."""
CRC_BYTES = 4
"""A chunk file ends with the CRC-32C of its values, little-endian, as zarr's codec writes it."""
PIECE_BYTES = 2**19
"""Files are read and written in pieces that stay in the processor's cache between copying and checking."""


class Frozen(BaseModel):
    """A part of the header or manifest: closed and immutable, so that a reader never guesses."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LatentSpace(Frozen):
    """Where latents live; rows of two spaces must never meet."""

    autoencoder: str
    """Digest of the autoencoder's folder."""
    scaling_factor: float
    """What the posterior mean was multiplied by."""
    image_size: int
    """Side in pixels of the images that were encoded."""
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
    """What is promised of one file."""

    bytes: int
    sha256: str
    crc32c: int | None
    """Of a chunk: checksum of its values, the same that its last four bytes hold; of metadata: none."""


class Manifest(Frozen):
    """The promise a finished store makes about its files, with a digest of the promise itself."""

    format: Literal["latent-outliers-store/2"]
    rows: int
    shards: int
    files: dict[str, FileEntry]
    sha256: str

    @classmethod
    def seal(cls, rows: int, shards: int, files: dict[str, FileEntry]) -> Self:
        """Return a manifest over `files` that carries its own digest."""
        draft = cls(format=FORMAT, rows=rows, shards=shards, files=files, sha256="")
        return draft.model_copy(update={"sha256": seal_digest(draft.model_dump(mode="json"))})


def seal_digest(fields: Mapping[str, Any]) -> str:
    """Return the digest that a manifest of any format carries: of its other fields, as JSON."""
    return digest(json_bytes({name: value for name, value in fields.items() if name != "sha256"}))


def rows_per_shard(rows: int, row_bytes: int) -> int:
    """Return how many rows a shard holds: about SHARD_BYTES, spread evenly, so that little padding is written.

    One shard holds exactly `rows`; several hold a multiple of BLOCK_ROWS each.
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
    """Return the files of a store besides its manifest, with the bytes of each chunk; None for metadata."""
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
    """Read `length` bytes, the first of them into `into`, and return the CRC-32C of all that came.

    A stream that ends early gives the checksum of less, which no promise matches.
    """
    crc, done, kept = 0, 0, 0 if into is None else len(into)
    passing = np.empty(max(0, min(PIECE_BYTES, length - kept)), np.uint8)
    while done < length:
        piece = into[done : done + PIECE_BYTES] if into is not None and done < kept else passing[: length - done]
        count = stream.readinto(piece.data)  # type: ignore[attr-defined]  # typing's BinaryIO lacks it
        if not count:
            break
        crc = google_crc32c.extend(crc, piece[:count])
        done += count
    return crc
