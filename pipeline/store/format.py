"""What a store looks like on disk, spelled once for its writer and its reader.

zarr.json        group attributes: the header below
latent/          (rows, c, h, w) float16; one chunk file is one shard; crc32c, no compressor
<column>/        (rows,) of one value per row; chunked like `latent`
manifest.json    written last: rows, shards and the size and SHA-256 of every other file
"""

from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from pipeline.files import digest, json_bytes

FORMAT = "latent-outliers-store/1"
MANIFEST = "manifest.json"
LATENT = "latent"
LATENT_DTYPE = np.dtype("<f2")
BLOCK_ROWS = 256
"""Rows that share one random generator and one computation; a shard of several is cut at a multiple of it."""
SHARD_BYTES = 64 * 2**20
"""Target size of a shard: large enough to write at disk speed, small enough to be a unit of work to resume."""
CRC_BYTES = 4


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

    format: Literal["latent-outliers-store/1"]
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
    """Size and SHA-256 of one file."""

    bytes: int
    sha256: str


class Manifest(Frozen):
    """The promise a finished store makes about its files, with a digest of the promise itself."""

    format: Literal["latent-outliers-store/1"]
    rows: int
    shards: int
    files: dict[str, FileEntry]
    sha256: str

    @classmethod
    def seal(cls, rows: int, shards: int, files: dict[str, FileEntry]) -> Self:
        """Return a manifest over `files` that carries its own digest."""
        draft = cls(format=FORMAT, rows=rows, shards=shards, files=files, sha256="")
        return draft.model_copy(update={"sha256": draft._own_digest()})

    @model_validator(mode="after")
    def _unchanged(self) -> Self:
        if self.sha256 and self.sha256 != self._own_digest():
            raise ValueError("its own digest does not match its content")
        return self

    def _own_digest(self) -> str:
        return digest(json_bytes(self.model_dump(mode="json", exclude={"sha256"})))


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


def chunk_file(array: str, shard: int) -> str:
    """Return the path of a chunk inside the store, by zarr v3's default chunk key encoding."""
    return f"{LATENT}/c/{shard}/0/0/0" if array == LATENT else f"{array}/c/{shard}"
