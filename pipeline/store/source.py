"""The location of a store's files, in a folder or in a revision: file sizes, and a stream of each file."""

from pathlib import Path
from typing import BinaryIO, Protocol

from pipeline.runtime.files import folder_files


class Source(Protocol):
    """The files of a store."""

    def sizes(self) -> dict[str, int | None]:
        """Return the size in bytes of every finished file by its name inside the store; None if only reading tells."""
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
        """Return the size in bytes of every finished file; files that are still being written do not count."""
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in folder_files(self.path)}

    def open(self, name: str) -> BinaryIO:
        """Open a file without a buffer, because every reader reads in pieces of its choice."""
        return (self.path / name).open("rb", buffering=0)

    def location(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.path / name)
