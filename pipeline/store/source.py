"""The location of a store's files, in a folder or in a revision: file sizes, and a stream of each file."""

import errno
from pathlib import Path
from typing import BinaryIO, Protocol

from pipeline.runtime.errors import DamagedStoreError
from pipeline.runtime.files import open_regular
from pipeline.runtime.manifest import all_names

NO_FILE = (errno.EINVAL, errno.ELOOP, errno.EISDIR, errno.ENXIO)
"""Errors of opening what is no regular file: the one of `open_regular`, links in a circle, a folder, a socket."""


class Source(Protocol):
    """The files of a store."""

    def sizes(self) -> dict[str, int | None]:
        """Return the size in bytes of every file by its name inside the store; None if only reading tells."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading from its start; OSError when it cannot be opened."""
        ...

    def location(self, name: str) -> str:
        """Return the location of a file, as text for an error message."""
        ...


class Folder:
    """A store on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        """Return the path."""
        return str(self.path)

    def sizes(self) -> dict[str, int | None]:
        """Return the size in bytes of every file; raises DamagedStoreError when one is no regular file."""
        return {name: self._size(self.path / name, name) for name in all_names(self.path)}

    def open(self, name: str) -> BinaryIO:
        """Open a file without a buffer, because every reader reads in pieces of its choice.

        Raises DamagedStoreError when it is no regular file, or a link to another folder than DVC's cache.
        """
        try:
            return open_regular(self.path / name, inside=self.path)
        except OSError as error:
            if error.errno not in NO_FILE:
                raise
            found, _, wanted = (error.strerror or "").partition(", wanted ")
            raise DamagedStoreError(self.path / name, found, wanted or "a regular file") from error

    def _size(self, path: Path, name: str) -> int:
        if not path.is_file():
            try:
                self.open(name).close()  # raises an error that says what it is
            except FileNotFoundError as error:
                raise DamagedStoreError(path, "a link to no file", "a regular file") from error
        return path.stat().st_size

    def location(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.path / name)
