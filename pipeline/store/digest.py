"""The digest of the files of a store: one algorithm for the writer, the reader and the manifest."""

import hashlib
from pathlib import Path
from typing import Protocol

ALGORITHM = hashlib.sha256
TITLE = "SHA-256"
"""Its name in errors. Fields of the manifest are named after it, so another algorithm needs another store format."""


class Digest(Protocol):
    """A digest of bytes that arrive in pieces."""

    def update(self, content: bytes | memoryview, /) -> None:
        """Add the next bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, in hexadecimal."""


def new_digest(content: bytes | memoryview = b"") -> Digest:
    """Return a digest of `content`; large content is hashed without Python's global lock."""
    return ALGORITHM(content)


def file_digest(path: Path) -> str:
    """Return the digest of a file in hexadecimal; the file is read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, ALGORITHM).hexdigest()
