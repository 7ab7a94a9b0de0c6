"""The format of a store on disk, defined once for its writer and its reader.

zarr.json        group attributes: the header below
latent/          (rows, c, h, w) float16; one chunk file is one shard; crc32c, no compressor
<column>/        (rows,) one value per row; chunked like `latent`
manifest.json    written last: rows, shards, and size, SHA-256 and (of a chunk) CRC-32C of every other file

`docs/shards.md` describes it for other tools.
"""

import math
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pipeline.runtime.manifest import Sha256, Size, seal_digest
from pipeline.store.file_counts import FileCounts

FORMAT = "latent-outliers-store/2"
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
REQUIRED_COLUMNS = {"latents": {"label"}, "outliers": {"class_a", "class_b", "parent_a", "parent_b", "lam"}}
"""The columns without which no stage can use a store, by its kind."""

COLUMN_KINDS = {"label": "i", "content": "i", "class": "i", "parent": "i", "view": "i", "method": "iu", "lam": "f"}
"""NumPy's kinds of numbers that a column may have, by the first word of its name."""
DEEPEST = 32
"""Levels of provenance that are read at all."""


def _is_deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a class is named twice")
    return names


Rows = Annotated[int, Field(strict=True, ge=1, lt=2**48)]
Side = Annotated[int, Field(strict=True, ge=1, le=2**16)]
ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
ColumnType = Annotated[str, Field(pattern=r"^(\|[biu]1|<[iu][248]|<f[248])$")]
"""Numbers of one to eight bytes, little-endian; no object and no text."""
ClassNames = Annotated[tuple[str, ...], AfterValidator(_distinct)]


class Frozen(BaseModel):
    """A part of the header or manifest: immutable and without unknown fields, so that a reader never guesses."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, serialize_by_alias=True
    )


class LatentSpace(Frozen):
    """The space of latents; rows of two spaces must never be used together."""

    encoder: str = Field(alias="autoencoder")
    """Digest of the encoder's folder; format 2 calls it `autoencoder`, as it did when there was no other encoder."""
    scaling_factor: Annotated[float, Field(gt=0)]
    """Factor on the latents by convention of the encoder's authors; 1 where they have none."""
    image_size: Side
    """Side in pixels of the encoded images."""
    shape: tuple[Side, Side, Side]
    """Channels, height, width."""


class Standardisation(Frozen):
    """Statistics per channel of the scaled latents of a set: standardised = (scaled - mean) / std."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(ge=0)], ...]

    @property
    def divisors(self) -> tuple[float, ...]:
        """What each channel is divided by: its std, or 1 where it does not vary, so that it is only centred."""
        smallest = np.finfo(np.float32).tiny
        return tuple(std if std >= smallest else 1.0 for std in self.std)

    @property
    def zero(self) -> tuple[float, ...]:
        """What a scaled latent of zeros is when it is standardised, by channel."""
        return tuple(-mean / divisor for mean, divisor in zip(self.mean, self.divisors, strict=True))

    @property
    def pareto(self) -> tuple[float, ...]:
        """Factors that take standardised channels to Pareto scaling: divided by the square root of their deviation.

            sqrt(std / mean of the stds)

        A channel that varies more counts more, but less so than without any scaling. The factors stay the same where
        all latents are multiplied by one number. Source: van den Berg et al. 2006,
        https://doi.org/10.1186/1471-2164-7-142, table 1.
        """
        mean = math.fsum(self.divisors) / len(self.divisors)
        return tuple(math.sqrt(divisor / mean) for divisor in self.divisors)

    def require_channels(self, channels: int) -> None:
        """Raise ValueError unless there is a mean and a std of each channel."""
        if not len(self.mean) == len(self.std) == channels:
            raise ValueError(f"standardisation is of other channels than the {channels} of space.shape")


class Header(Frozen):
    """The attributes of a store: everything that determines its bytes, and nothing else."""

    format: Literal["latent-outliers-store/2"]
    kind: Literal["latents", "outliers"]
    rows: Rows
    rows_per_shard: Rows
    columns: dict[ColumnName, ColumnType]
    """Name of each column besides `latent`, and its NumPy dtype."""
    space: LatentSpace
    standardisation: Standardisation
    """kind latents: the statistics of these rows, not applied. kind outliers: those applied to these rows."""
    class_names: ClassNames
    provenance: dict[str, Any]
    """How the rows were made: method, parameters, seed, digests of the inputs."""

    @model_validator(mode="after")
    def _parts_fit_each_other(self) -> Self:
        self.standardisation.require_channels(self.space.shape[0])
        if LATENT in self.columns:
            raise ValueError(f"columns has {LATENT!r}, which is the array of the latents")
        for name, kind in self.columns.items():
            if (wanted := COLUMN_KINDS.get(name.partition("_")[0])) and np.dtype(kind).kind not in wanted:
                raise ValueError(f"columns.{name} is {kind}, wanted numbers of kind {' or '.join(wanted)}")
        of_classes, of_shares, of_parents, of_views = (
            {name.removeprefix(f"{kind}_") for name in self.columns if name.startswith(f"{kind}_")}
            for kind in ("class", "lam", "parent", "view")
        )
        if without := of_shares - of_classes:
            raise ValueError(f"columns has shares of {sorted(without)}, and no classes of them")
        if of_views and of_views != of_parents:
            raise ValueError(f"columns has views of {sorted(of_views)}, and parents {sorted(of_parents)}")
        if of_views and not isinstance(self.provenance.get("views"), dict):
            raise ValueError("columns has views, but provenance.views does not say of what")
        return self

    @model_validator(mode="after")
    def _provenance_can_be_read(self) -> Self:
        if _is_deeper(self.provenance, DEEPEST):
            raise ValueError(f"provenance has more than {DEEPEST} levels")
        if (files := self.provenance.get("files")) is not None:
            counts = FileCounts.model_validate(files)
            if self.provenance.get("part") not in [*counts.parts]:  # it may be of any kind, and have no hash
                raise ValueError("provenance.part is not among provenance.files.parts")
        names = self.provenance.get("method_names", [])
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError("provenance.method_names is no list of names")
        return self


class FileEntry(Frozen):
    """The size and checksums of a file."""

    bytes: Size
    sha256: Sha256
    crc32c: Annotated[int, Field(strict=True, ge=0, lt=2**32)] | None
    """For a chunk, the checksum of its values, equal to its last four bytes; for metadata, None."""


class Manifest(Frozen):
    """The list of a finished store's files with their checksums, and a digest of the list itself."""

    format: Literal["latent-outliers-store/2"]
    rows: Rows
    shards: Rows
    files: dict[str, FileEntry]
    sha256: Sha256

    @classmethod
    def seal(cls, rows: int, shards: int, files: dict[str, FileEntry]) -> Self:
        """Return a manifest of `files` with its digest."""
        entries = {name: entry.model_dump(mode="json") for name, entry in files.items()}
        fields = {"format": FORMAT, "rows": rows, "shards": shards, "files": entries}
        return cls.model_validate(fields | {"sha256": seal_digest(fields)})


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


def shard_count(header: Header) -> int:
    """Return the number of shards that a header describes."""
    return -(-header.rows // header.rows_per_shard)


def file_sizes(header: Header) -> dict[str, int | None]:
    """Return the files of a store except its manifest, with the size in bytes of each chunk; None for metadata."""
    row_bytes = {name: np.dtype(kind).itemsize for name, kind in header.columns.items()}
    row_bytes[LATENT] = LATENT_DTYPE.itemsize * math.prod(header.space.shape)
    sizes: dict[str, int | None] = {"zarr.json": None, **{f"{array}/zarr.json": None for array in row_bytes}}
    for array, size in row_bytes.items():
        for shard in range(shard_count(header)):
            sizes[chunk_file(array, shard)] = header.rows_per_shard * size + CRC_BYTES
    return sizes


def chunk_file(array: str, shard: int) -> str:
    """Return the path of a chunk inside the store, by zarr v3's default chunk key encoding."""
    return f"{LATENT}/c/{shard}/0/0/0" if array == LATENT else f"{array}/c/{shard}"
