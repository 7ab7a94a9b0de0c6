"""A store in a revision of a DVC repository, read from its cache or remote without a checkout."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.runtime.errors import SharingError
from pipeline.store.reader import Store


class Revision:
    """The files of a store in a revision; a `Source` of `Store`.

    repo: a path or URL; None means the repository of the current folder. rev: a commit, branch or tag; None means the
    working tree. Raises SharingError when there is no such repository or revision.
    """

    def __init__(self, path: str, repo: str | None, rev: str | None) -> None:
        from dvc.api import DVCFileSystem

        self.path = path.strip("/")
        self.name = f"{self.path} in {repo or 'this repository'}" + (f" at {rev}" if rev else "")
        with _sharing_errors(self.name):
            self._files = DVCFileSystem(repo, rev=rev)

    def __str__(self) -> str:
        """Return path, repository and revision."""
        return self.name

    def sizes(self) -> dict[str, int | None]:
        """Return the size in bytes of every file by its name; None where DVC does not know it."""
        with _sharing_errors(self.name):
            files = self._files.find(self.path, detail=True)
        return {name.removeprefix(f"{self.path}/"): facts["size"] for name, facts in files.items()}

    def open(self, name: str) -> BinaryIO:
        """Open a file in the cache or, if it is not there, on the remote."""
        with _sharing_errors(self.location(name)):
            return BufferedReader(_Stream(self._files.open(f"{self.path}/{name}", "rb")))

    def location(self, name: str) -> str:
        """Return file, repository and revision, for an error message."""
        return f"{self.path}/{name}{self.name.removeprefix(self.path)}"


class _Stream(RawIOBase):
    """A complete raw stream around the stream of a remote, of which only `read` is certain."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_store(path: Path, repo: str | None, rev: str | None) -> Store:
    """Open the store in a folder or, if `repo` or `rev` is given, in that revision."""
    return Store(path) if repo is None and rev is None else Store(Revision(path.as_posix(), repo, rev))


def read_file(path: Path, rev: str) -> bytes:
    """Return the content of a file of git or DVC in a revision of the repository of the current folder."""
    folder = Revision(path.parent.as_posix(), None, rev)
    with _sharing_errors(folder.location(path.name)), folder.open(path.name) as stream:
        return stream.read()


@contextmanager
def _sharing_errors(subject: str) -> Iterator[None]:
    """Turn errors of DVC into SharingError."""
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError
    from scmrepo.exceptions import SCMError

    try:
        yield
    except (FileNotFoundError, DataIndexDirError) as error:
        raise SharingError(subject, "that revision, or its cache and remote, does not have it") from error
    except (DvcException, SCMError) as error:
        raise SharingError(subject, str(error) or type(error).__name__) from error
