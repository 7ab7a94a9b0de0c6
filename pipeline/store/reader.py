"""Open a finished store, check that it is what the reader expects, and return only bytes that match the manifest."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.runtime.errors import DamagedStoreError, IncompatibleStoreError, UnfinishedStoreError
from pipeline.runtime.files import LARGEST_CARD, MANIFEST
from pipeline.runtime.manifest import LARGEST_MANIFEST, sealed_fields
from pipeline.runtime.shortage import require_memory
from pipeline.store.checksum import checksum
from pipeline.store.digest import TITLE, new_digest
from pipeline.store.format import (
    CRC_BYTES,
    FORMAT,
    LATENT,
    LATENT_DTYPE,
    PIECE_BYTES,
    REQUIRED_COLUMNS,
    Header,
    LatentSpace,
    Manifest,
    chunk_file,
    file_sizes,
    shard_count,
    shard_ranges,
)
from pipeline.store.source import Folder, Source
from pipeline.store.values import wrong_value

READERS = 2
"""Files read in parallel, so that copying one overlaps with checking another."""

T = TypeVar("T")
M = TypeVar("M", Header, Manifest)


class Store:
    """A finished store of latents or outliers.

    Opening it checks the manifest, the list of files and their sizes. Reading a chunk checks its CRC-32C against the
    manifest, and that its values can be, before the first value is used. `verify` checks every SHA-256 too. Raises
    UnfinishedStoreError, DamagedStoreError or IncompatibleStoreError, which name the file or store.
    """

    def __init__(self, location: Path | Source) -> None:
        self.source: Source = Folder(location) if isinstance(location, Path) else location
        self.manifest = _read_manifest(self.source)
        self._check_sizes()
        self.header = self._read_header()
        self.shards = shard_ranges(self.header.rows, self.header.rows_per_shard)
        self.digest = self.manifest.sha256

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.header.rows

    @property
    def total_bytes(self) -> int:
        """Size in bytes of all files in the manifest."""
        return sum(entry.bytes for entry in self.manifest.files.values())

    def require(self, kind: str, space: LatentSpace, class_names: tuple[str, ...] | None = None) -> None:
        """Raise IncompatibleStoreError unless the store has this kind, with its columns, latent space and classes."""
        header = self.header
        checks: list[tuple[str, object, object]] = [("its kind", header.kind, kind)]
        checks += [
            (f"its latent space's {field}", getattr(header.space, field), getattr(space, field))
            for field in LatentSpace.model_fields
        ]
        if class_names is not None:
            checks.append(("its class list", header.class_names, class_names))
        for subject, found, wanted in checks:
            if found != wanted:
                raise IncompatibleStoreError(str(self.source), subject, found, wanted)
        if missing := sorted(REQUIRED_COLUMNS[kind] - set(header.columns)):
            raise IncompatibleStoreError(str(self.source), "its list of columns", sorted(header.columns), missing)

    def verify(self, advance: Callable[[int], None]) -> None:
        """Check every byte of every file, and every value; `advance` is called with the number of bytes checked.

        Raises DamagedStoreError, which names the first damaged file.
        """

        def check(name: str) -> None:
            self._check_digest(name, advance)

        _in_threads(check, self.manifest.files)
        self._check_chunks()

    def check(self) -> None:
        """Check metadata and every value, as fast as files are read: chunks by their CRC-32C, not by their SHA-256.

        Raises DamagedStoreError, which names the first damaged file.
        """
        for name, entry in self.manifest.files.items():
            if entry.crc32c is None:
                self._check_digest(name, lambda _: None)
        self._check_chunks()

    def _check_chunks(self) -> None:
        names = (*self.header.columns, LATENT)
        chunks = [(name, shard) for name in names for shard in range(len(self.shards))]
        _in_threads(lambda chunk: self.chunk(*chunk), chunks)

    def latents(self) -> NDArray[np.float16]:
        """Return all latents, (rows, c, h, w)."""
        return self._all(LATENT)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column, (rows,)."""
        return self._all(name)

    def chunk(self, name: str, shard: int) -> NDArray[Any]:
        """Return the rows of `latent` or of a column in one shard."""
        values = self._empty(name, len(self.shards[shard]))
        self._read_chunk(name, shard, values)
        return values

    def take(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the given rows of `latent` or of a column; only the shards with these rows are read."""
        values = self._empty(name, len(rows))
        for shard, span in enumerate(self.shards):
            in_shard = (rows >= span.start) & (rows < span.stop)
            if in_shard.any():
                values[in_shard] = self.chunk(name, shard)[rows[in_shard] - span.start]
        return values

    def _all(self, name: str) -> NDArray[Any]:
        values = self._empty(name, self.rows)

        def read(shard: int) -> None:
            span = self.shards[shard]
            self._read_chunk(name, shard, values[span.start : span.stop])

        _in_threads(read, range(len(self.shards)))
        return values

    def _empty(self, name: str, rows: int) -> NDArray[Any]:
        """Return an empty array for rows of `latent` or of a column; raises OutOfMemoryError where it is too large."""
        if name != LATENT and name not in self.header.columns:
            raise KeyError(f"{self.source} has no column {name!r}; it has {sorted(self.header.columns)}")
        shape = (rows, *self.header.space.shape) if name == LATENT else (rows,)
        dtype = LATENT_DTYPE if name == LATENT else np.dtype(self.header.columns[name])
        subject = f"{self.source}, {rows:,} rows of {name}"
        require_memory(subject, prod(shape) * dtype.itemsize, "Take a smaller store, or a machine with more memory.")
        return np.empty(shape, dtype)

    def _read_chunk(self, name: str, shard: int, values: NDArray[Any]) -> None:
        """Fill the contiguous array `values` from the start of a chunk, and check the whole chunk."""
        file = chunk_file(name, shard)
        entry = self.manifest.files[file]
        with self.source.open(file) as stream:
            computed = checksum(stream, entry.bytes - CRC_BYTES, values.reshape(-1).view(np.uint8))
            stored = int.from_bytes(stream.read(CRC_BYTES), "little")
        for crc32c in (computed, stored):
            if crc32c != entry.crc32c:
                raise DamagedStoreError(self.source.location(file), f"CRC-32C {crc32c}", f"{entry.crc32c}")
        if (problem := wrong_value(self.header, name, values)) is not None:
            raise DamagedStoreError(self.source.location(file), *problem)

    def _check_digest(self, name: str, advance: Callable[[int], None]) -> None:
        """Check the SHA-256 of a file; it covers a chunk's checksum too."""
        digest = new_digest()
        with self.source.open(name) as stream:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
                advance(len(piece))
        found, wanted = digest.hexdigest(), self.manifest.files[name].sha256
        if found != wanted:
            raise DamagedStoreError(self.source.location(name), f"{TITLE} {found}", wanted)

    def _check_sizes(self) -> None:
        present = self.source.sizes()
        for name, entry in self.manifest.files.items():
            if name not in present:
                raise DamagedStoreError(self.source.location(name), "no such file", f"{entry.bytes} bytes")
            if present[name] not in (entry.bytes, None):
                raise DamagedStoreError(self.source.location(name), f"{present[name]} bytes", f"{entry.bytes} bytes")
        for name in sorted(set(present) - set(self.manifest.files) - {MANIFEST}):
            raise DamagedStoreError(self.source.location(name), "a file the manifest does not know", "none")

    def _read_header(self) -> Header:
        """Read the header, and compare the files and rows it describes with those in the manifest."""
        name = "zarr.json"
        if name not in self.manifest.files:
            raise DamagedStoreError(self.source.location(MANIFEST), f"no entry for {name}", "one")
        if (size := self.manifest.files[name].bytes) > LARGEST_CARD:
            raise DamagedStoreError(self.source.location(name), f"{size} bytes", f"at most {LARGEST_CARD}")
        self._check_digest(name, lambda _: None)
        with self.source.open(name) as stream:
            header = _validated(Header, _attributes(stream.read()), self.source, name)
        if header.rows != self.manifest.rows:
            found, wanted = f"{header.rows} rows", f"{self.manifest.rows} rows, as in {MANIFEST}"
            raise DamagedStoreError(self.source.location(name), found, wanted)
        shards, listed = shard_count(header), len(self.manifest.files)
        if shards != self.manifest.shards or shards * (1 + len(header.columns)) > listed:
            found, wanted = f"{shards} shards", f"{self.manifest.shards} with {listed} files, as in {MANIFEST}"
            raise DamagedStoreError(self.source.location(name), found, wanted)
        wanted_files = file_sizes(header)
        for file in sorted(wanted_files.keys() ^ self.manifest.files.keys()):
            article, wanted = ("an", "none") if file in self.manifest.files else ("no", "one")
            raise DamagedStoreError(self.source.location(MANIFEST), f"{article} entry for {file}", wanted)
        for file, wanted_size in wanted_files.items():
            if wanted_size is not None and self.manifest.files[file].bytes != wanted_size:
                found, wanted = f"{self.manifest.files[file].bytes} bytes", f"{wanted_size} bytes for a whole shard"
                raise DamagedStoreError(self.source.location(file), found, wanted)
        return header


def _read_manifest(source: Source) -> Manifest:
    """Return the manifest; check first that its digest matches, whatever its format, and then its format."""
    location = source.location(MANIFEST)
    try:
        with source.open(MANIFEST) as stream:
            fields = sealed_fields(stream.read(LARGEST_MANIFEST + 1))
    except FileNotFoundError as error:
        raise UnfinishedStoreError(location) from error
    if fields is None:
        raise DamagedStoreError(location, "bytes that do not match the digest in it", "the manifest as it was written")
    return _validated(Manifest, fields, source, MANIFEST)


def _attributes(content: bytes) -> object:
    """Return the attributes in the metadata of a zarr group; None where there are none."""
    try:
        return json.loads(content)["attributes"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _validated(model: type[M], fields: object, source: Source, name: str) -> M:
    """Return the manifest or header as its model; another format is an incompatible store, not a damaged one."""
    if not isinstance(fields, dict):
        raise DamagedStoreError(source.location(name), "no fields in it", f"the fields of {FORMAT}")
    if fields.get("format") != FORMAT:
        raise IncompatibleStoreError(str(source), "its format", fields.get("format"), FORMAT)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DamagedStoreError(source.location(name), found, f"the fields of {FORMAT}") from error


def _in_threads(function: Callable[[T], object], items: Iterable[T]) -> None:
    """Call `function` for each item in a few threads; the first error in the order of the items is raised."""
    with ThreadPoolExecutor(READERS) as pool:
        for _ in pool.map(function, items):
            pass
