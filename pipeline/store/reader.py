"""Open a finished store, check that it is what the reader expects, and hand out only bytes that were promised."""

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.errors import DamagedStoreError, IncompatibleStoreError, UnfinishedStoreError
from pipeline.files import json_bytes
from pipeline.store.format import (
    CRC_BYTES,
    FORMAT,
    LATENT,
    LATENT_DTYPE,
    MANIFEST,
    PIECE_BYTES,
    Header,
    LatentSpace,
    Manifest,
    checksum,
    chunk_file,
    file_sizes,
    seal_digest,
    shard_ranges,
)
from pipeline.store.source import Folder, Source

READERS = 2
"""Files read side by side: copying one overlaps checking another."""

T = TypeVar("T")
M = TypeVar("M", Header, Manifest)


class Store:
    """A finished store of latents or outliers.

    Opening it checks the manifest, the list of files and their sizes; reading a chunk checks its CRC-32C against the
    manifest before the first value is used; `verify` checks every SHA-256 too. Raises UnfinishedStoreError,
    DamagedStoreError or IncompatibleStoreError, which name the file or store.
    """

    def __init__(self, place: Path | Source) -> None:
        self.source: Source = Folder(place) if isinstance(place, Path) else place
        self.manifest = _read_manifest(self.source)
        self._check_sizes()
        self.header = self._read_header()
        self.shards = shard_ranges(self.header.rows, self.header.rows_per_shard)
        self.digest = self.manifest.sha256

    @property
    def rows(self) -> int:
        """How many rows the store holds."""
        return self.header.rows

    @property
    def total_bytes(self) -> int:
        """Size of all files that the manifest promises."""
        return sum(promised.bytes for promised in self.manifest.files.values())

    def require(self, kind: str, space: LatentSpace, class_names: tuple[str, ...] | None = None) -> None:
        """Raise IncompatibleStoreError unless the store is of this kind, latent space and class list."""
        found = self.header
        sides: list[tuple[str, object, object]] = [("its kind", found.kind, kind)]
        sides += [
            (f"its latent space's {field}", getattr(found.space, field), getattr(space, field))
            for field in LatentSpace.model_fields
        ]
        if class_names is not None:
            sides.append(("its class list", found.class_names, class_names))
        for what, here, wanted in sides:
            if here != wanted:
                raise IncompatibleStoreError(str(self.source), what, here, wanted)

    def verify(self, advance: Callable[[int], None]) -> None:
        """Check every byte of every file; `advance` is told of the bytes checked.

        Raises DamagedStoreError, which names the first file that is not what was written.
        """

        def check(name: str) -> None:
            self._check_digest(name, advance)

        _side_by_side(check, self.manifest.files)

    def check(self) -> None:
        """Check metadata and every value, at the speed of reading: chunks by their CRC-32C, not by their SHA-256.

        Raises DamagedStoreError, which names the first file that is not what was written.
        """
        for name, promised in self.manifest.files.items():
            if promised.crc32c is None:
                self._check_digest(name, lambda _: None)
        names = (*self.header.columns, LATENT)
        _side_by_side(lambda work: self.chunk(*work), [(name, i) for name in names for i in range(len(self.shards))])

    def latents(self) -> NDArray[np.float16]:
        """Return all latents, (rows, c, h, w)."""
        return self._all(LATENT)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column, (rows,)."""
        return self._all(name)

    def chunk(self, name: str, shard: int) -> NDArray[Any]:
        """Return the rows of one shard, of `latent` or of a column."""
        values = self._empty(name, len(self.shards[shard]))
        self._read_chunk(name, shard, values)
        return values

    def take(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the given rows of `latent` or of a column, reading only the shards that hold them."""
        values = self._empty(name, len(rows))
        for shard, span in enumerate(self.shards):
            here = (rows >= span.start) & (rows < span.stop)
            if here.any():
                values[here] = self.chunk(name, shard)[rows[here] - span.start]
        return values

    def _all(self, name: str) -> NDArray[Any]:
        values = self._empty(name, self.rows)

        def read(shard: int) -> None:
            span = self.shards[shard]
            self._read_chunk(name, shard, values[span.start : span.stop])

        _side_by_side(read, range(len(self.shards)))
        return values

    def _empty(self, name: str, rows: int) -> NDArray[Any]:
        """Return room for rows of an array."""
        if name == LATENT:
            return np.empty((rows, *self.header.space.shape), LATENT_DTYPE)
        if name not in self.header.columns:
            raise KeyError(f"{self.source} has no column {name!r}; it has {sorted(self.header.columns)}")
        return np.empty(rows, np.dtype(self.header.columns[name]))

    def _read_chunk(self, name: str, shard: int, values: NDArray[Any]) -> None:
        """Fill `values`, which are contiguous, from the start of a chunk, and check all of it."""
        file = chunk_file(name, shard)
        promised = self.manifest.files[file]
        with self.source.open(file) as stream:
            found = checksum(stream, promised.bytes - CRC_BYTES, values.reshape(-1).view(np.uint8))
            end = int.from_bytes(stream.read(CRC_BYTES), "little")
        for crc32c in (found, end):
            if crc32c != promised.crc32c:
                raise DamagedStoreError(self.source.place(file), f"CRC-32C {crc32c}", f"{promised.crc32c}")

    def _check_digest(self, name: str, advance: Callable[[int], None]) -> None:
        """Check the SHA-256 of a file; it covers a chunk's checksum too."""
        found = hashlib.sha256()
        with self.source.open(name) as stream:
            while piece := stream.read(PIECE_BYTES):
                found.update(piece)
                advance(len(piece))
        if found.hexdigest() != self.manifest.files[name].sha256:
            raise DamagedStoreError(
                self.source.place(name), f"SHA-256 {found.hexdigest()}", self.manifest.files[name].sha256
            )

    def _check_sizes(self) -> None:
        present = self.source.sizes()
        for name, promised in self.manifest.files.items():
            if name not in present:
                raise DamagedStoreError(self.source.place(name), "no such file", f"{promised.bytes} bytes")
            if present[name] not in (promised.bytes, None):
                raise DamagedStoreError(self.source.place(name), f"{present[name]} bytes", f"{promised.bytes} bytes")
        for name in sorted(set(present) - set(self.manifest.files) - {MANIFEST}):
            raise DamagedStoreError(self.source.place(name), "a file the manifest does not know", "none")

    def _read_header(self) -> Header:
        """Read the header, and compare what it says there is with what the manifest promises."""
        name = "zarr.json"
        if name not in self.manifest.files:
            raise DamagedStoreError(self.source.place(MANIFEST), f"no entry for {name}", "one")
        self._check_digest(name, lambda _: None)
        with self.source.open(name) as stream:
            header = _validated(Header, json.loads(stream.read()).get("attributes", {}), self.source, name)
        if header.rows != self.manifest.rows:
            found, wanted = f"{header.rows} rows", f"{self.manifest.rows} rows, as in {MANIFEST}"
            raise DamagedStoreError(self.source.place(name), found, wanted)
        wanted_files = file_sizes(header)
        for file in sorted(wanted_files.keys() ^ self.manifest.files.keys()):
            found, wanted = ("an", "none") if file in self.manifest.files else ("no", "one")
            raise DamagedStoreError(self.source.place(MANIFEST), f"{found} entry for {file}", wanted)
        for file, size in wanted_files.items():
            if size is not None and self.manifest.files[file].bytes != size:
                found, wanted = f"{self.manifest.files[file].bytes} bytes", f"{size} bytes for a whole shard"
                raise DamagedStoreError(self.source.place(file), found, wanted)
        return header


def _read_manifest(source: Source) -> Manifest:
    """Return the manifest, if it is the one that was sealed, whatever its format, and then if it is of ours."""
    place = source.place(MANIFEST)
    try:
        with source.open(MANIFEST) as stream:
            content = stream.read()
    except FileNotFoundError as error:
        raise UnfinishedStoreError(place) from error
    try:
        fields = json.loads(content)
        sealed = fields["sha256"] == seal_digest(fields) and content == json_bytes(fields)
    except (ValueError, TypeError, KeyError):
        sealed = False
    if not sealed:
        raise DamagedStoreError(place, "bytes that do not match the digest in it", "the manifest as it was written")
    return _validated(Manifest, fields, source, MANIFEST)


def _validated(model: type[M], fields: dict[str, Any], source: Source, name: str) -> M:
    """Return a part of the store as its model; what is whole but of another format is incompatible, not damaged."""
    if fields.get("format") != FORMAT:
        raise IncompatibleStoreError(str(source), "its format", fields.get("format"), FORMAT)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"]))
        raise DamagedStoreError(source.place(name), f"{where}: {found['msg']}", "what this format asks for") from error


def _side_by_side(function: Callable[[T], object], works: Iterable[T]) -> None:
    """Call `function` on each of `works` in a few threads; the first error in their order is raised."""
    with ThreadPoolExecutor(READERS) as pool:
        for _ in pool.map(function, works):
            pass
