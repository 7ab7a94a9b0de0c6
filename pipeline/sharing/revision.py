"""A store in a revision of a DVC repository, read from its cache or remote without checking anything out."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import SharingError
from pipeline.store.reader import Store


class Revision:
    """The files of a store, as `Store` reads them.

    repo: a path or URL; None is the repository of the current folder. rev: a commit, branch or tag; None is what is
    checked out. Raises SharingError when there is no such repository or revision.
    """

    def __init__(self, path: str, repo: str | None, rev: str | None) -> None:
        from dvc.api import DVCFileSystem

        self.path = path.strip("/")
        self.name = f"{self.path} in {repo or 'this repository'}" + (f" at {rev}" if rev else "")
        with _explained(self.name):
            self._files = DVCFileSystem(repo, rev=rev)

    def __str__(self) -> str:
        """Return what was asked for."""
        return self.name

    def sizes(self) -> dict[str, int | None]:
        """Return the names of the store's files, with their bytes where DVC knows them."""
        with _explained(self.name):
            found = self._files.find(self.path, detail=True)
        return {name.removeprefix(f"{self.path}/"): facts["size"] for name, facts in found.items()}

    def open(self, name: str) -> BinaryIO:
        """Open a file where it is: in the cache, else on the remote."""
        with _explained(self.place(name)):
            return BufferedReader(_Stream(self._files.open(f"{self.path}/{name}", "rb")))

    def place(self, name: str) -> str:
        """Return file, repository and revision."""
        return f"{self.path}/{name}{self.name.removeprefix(self.path)}"


class _Stream(RawIOBase):
    """What every stream of a remote can do (read), as all that a reader may ask of one."""

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
    """Open the store in a folder or, when a repository or revision is named, as it was there."""
    return Store(path) if repo is None and rev is None else Store(Revision(path.as_posix(), repo, rev))


def read_file(path: Path, rev: str) -> bytes:
    """Return a file, of git or of DVC, as it is in a revision of the current folder's repository."""
    folder = Revision(path.parent.as_posix(), None, rev)
    with _explained(folder.place(path.name)), folder.open(path.name) as stream:
        return stream.read()


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn DVC's errors into ours."""
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError
    from scmrepo.exceptions import SCMError

    try:
        yield
    except (FileNotFoundError, DataIndexDirError) as error:
        raise SharingError(what, "that revision, or its cache and remote, does not have it") from error
    except (DvcException, SCMError) as error:
        raise SharingError(what, str(error) or type(error).__name__) from error
