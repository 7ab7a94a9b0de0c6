"""Open a finished store, check that it is what the reader expects, and hand out only bytes that were promised."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.errors import DamagedStoreError, IncompatibleStoreError, UnfinishedStoreError
from pipeline.files import digest, folder_files, json_bytes
from pipeline.store.format import (
    CRC_BYTES,
    FORMAT,
    LATENT,
    LATENT_DTYPE,
    MANIFEST,
    Header,
    LatentSpace,
    Manifest,
    chunk_file,
    shard_ranges,
)


class Store:
    """A finished store of latents or outliers.

    Opening it checks the manifest, the list of files and their sizes; reading a file checks its digest before the
    first value is used. Raises UnfinishedStoreError or DamagedStoreError, which name the file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)
        self._check_files()
        self.header = self._read_header()
        self.digest = self.manifest.sha256

    @property
    def rows(self) -> int:
        """How many rows the store holds."""
        return self.header.rows

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
                raise IncompatibleStoreError(self.folder, what, here, wanted)

    @property
    def total_bytes(self) -> int:
        """Size of all files that the manifest promises."""
        return sum(promised.bytes for promised in self.manifest.files.values())

    def verify(self, advance: Callable[[int], None]) -> None:
        """Check every byte of every file; `advance` is told of the bytes checked.

        Raises DamagedStoreError, which names the first file that is not what was written.
        """
        for name in self.manifest.files:
            advance(len(self._read_file(name)))

    def latents(self) -> NDArray[np.float16]:
        """Return all latents, (rows, c, h, w)."""
        return self.take(LATENT, np.arange(self.rows))

    def column(self, name: str) -> NDArray[Any]:
        """Return a column, (rows,)."""
        return self.take(name, np.arange(self.rows))

    def take(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the given rows of `latent` or of a column, reading only the shards that hold them."""
        dtype, inner = self._layout(name)
        values = np.empty((len(rows), *inner), dtype)
        for shard, span in enumerate(shard_ranges(self.rows, self.header.rows_per_shard)):
            here = (rows >= span.start) & (rows < span.stop)
            if here.any():
                content = self._read_file(chunk_file(name, shard))
                chunk = np.frombuffer(memoryview(content)[:-CRC_BYTES], dtype).reshape(-1, *inner)
                values[here] = chunk[rows[here] - span.start]
        return values

    def _layout(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Return the dtype of an array and the shape of one of its rows."""
        if name == LATENT:
            return LATENT_DTYPE, self.header.space.shape
        if name not in self.header.columns:
            raise KeyError(f"{self.folder} has no column {name!r}; it has {sorted(self.header.columns)}")
        return np.dtype(self.header.columns[name]), ()

    def _read_file(self, name: str) -> bytes:
        path = self.folder / name
        if name not in self.manifest.files:
            raise DamagedStoreError(path, "no entry for it in the manifest", "one")
        content, promised = path.read_bytes(), self.manifest.files[name]
        if digest(content) != promised.sha256:
            raise DamagedStoreError(path, f"SHA-256 {digest(content)}", promised.sha256)
        return content

    def _check_files(self) -> None:
        present = {path.relative_to(self.folder).as_posix(): path for path in folder_files(self.folder)}
        for name, promised in self.manifest.files.items():
            if name not in present:
                raise DamagedStoreError(self.folder / name, "no such file", f"{promised.bytes} bytes")
            if (found := present[name].stat().st_size) != promised.bytes:
                raise DamagedStoreError(self.folder / name, f"{found} bytes", f"{promised.bytes} bytes")
        for name in sorted(set(present) - set(self.manifest.files) - {MANIFEST}):
            raise DamagedStoreError(self.folder / name, "a file the manifest does not know", "none")

    def _read_header(self) -> Header:
        import json

        path = self.folder / "zarr.json"
        attributes = json.loads(self._read_file("zarr.json"))["attributes"]
        if attributes.get("format") != FORMAT:
            raise IncompatibleStoreError(self.folder, "its format", attributes.get("format"), FORMAT)
        header = Header.model_validate(attributes)
        if header.rows != self.manifest.rows:
            raise DamagedStoreError(path, f"{header.rows} rows", f"{self.manifest.rows} rows, as in {MANIFEST}")
        return header


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise UnfinishedStoreError(path)
    content = path.read_bytes()
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        found = error.errors()[0]
        if found["loc"] == ("format",):
            raise IncompatibleStoreError(folder, "its format", found["input"], FORMAT) from error
        raise DamagedStoreError(path, f"content in which {_place(found['loc'])}{found['msg']}", "a manifest") from error
    if content != json_bytes(manifest.model_dump(mode="json")):
        raise DamagedStoreError(path, "bytes that this pipeline does not write", "the manifest as it was written")
    return manifest


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(map(str, loc)) + ": " if loc else ""
