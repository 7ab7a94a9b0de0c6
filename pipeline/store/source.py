"""Where the files of a store lie: their sizes, and a stream of each; a folder here, a revision elsewhere."""

from pathlib import Path
from typing import BinaryIO, Protocol

from pipeline.files import folder_files


class Source(Protocol):
    """The files of one store."""

    def sizes(self) -> dict[str, int | None]:
        """Return the bytes of every finished file, by its name inside the store; None where only reading tells."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading from its start; OSError when it cannot be."""
        ...

    def place(self, name: str) -> str:
        """Return where a file is, in words for an error message."""
        ...


class Folder:
    """A store on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        """Return the path."""
        return str(self.path)

    def sizes(self) -> dict[str, int | None]:
        """Return the bytes of every finished file; those still being written do not count."""
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in folder_files(self.path)}

    def open(self, name: str) -> BinaryIO:
        """Open a file unbuffered: every reader brings its own pieces."""
        return (self.path / name).open("rb", buffering=0)

    def place(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.path / name)
