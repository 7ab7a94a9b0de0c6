"""A store in a revision of a DVC repository, read from its cache or remote without a checkout."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline.runtime.errors import SharingError
from pipeline.store.reader import Store

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem

DVC_FILES = ("dvc.yaml", "dvc.lock")
"""The files in git by which DVC knows the outputs of a revision."""


class Revision:
    """The files of a store in a revision; a `Source` of `Store`.

    repo: a path or URL; None means the repository of the current folder. rev: a commit, branch or tag; None means the
    working tree. Raises SharingError when there is no such repository or revision.
    """

    def __init__(self, path: str, repo: str | None, rev: str | None) -> None:
        self.path = path.strip("/")
        self.name = f"{self.path} in {repo or 'this repository'}" + (f" at {rev}" if rev else "")
        with _sharing_errors(self.name):
            self._files = _opened(repo, rev)

    def __str__(self) -> str:
        """Return path, repository and revision."""
        return self.name

    def sizes(self) -> dict[str, int | None]:
        """Return the size in bytes of every file by its name; None where DVC does not know it."""
        with self._absence_explained(self.name):
            files = self._files.find(self.path, detail=True)
        return {name.removeprefix(f"{self.path}/"): facts["size"] for name, facts in files.items()}

    def open(self, name: str) -> BinaryIO:
        """Open a file in the cache or, if it is not there, on the remote."""
        path = f"{self.path}/{name}"
        with self._absence_explained(self.location(name)):
            self._files.info(path)  # raises where git has lost the object, for which reading would wait for ever
            return BufferedReader(_Stream(self._files.open(path, "rb")))

    def location(self, name: str) -> str:
        """Return file, repository and revision, for an error message."""
        return f"{self.path}/{name}{self.name.removeprefix(self.path)}"

    @contextmanager
    def _absence_explained(self, subject: str) -> Iterator[None]:
        """Turn errors of git and DVC into SharingError, which says why a file is not there."""
        from dvc_data.index import DataIndexDirError

        with _sharing_errors(subject):
            try:
                yield
            except (FileNotFoundError, DataIndexDirError) as error:
                raise SharingError(subject, *self._absence()) from error

    def _absence(self) -> tuple[str, str]:
        """Return why a file of this store cannot be read, and what to do about it."""
        if self.path != "." and self._files.exists(self.path):
            advice = "Run `dvc pull` here, or let its owner run `dvc push`."
            return "it is recorded, but neither the cache nor a remote has its content", advice
        if not self._files.exists("dvc.lock"):
            advice = "A commit knows its run by dvc.lock: run `git add dvc.lock` and `git commit` after `dvc repro`."
            return "that revision does not have it, and has no dvc.lock", advice
        return "that revision does not have it", "Check the path, or name a revision after the stage that makes it."


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
    with folder.open(path.name) as stream, _sharing_errors(folder.location(path.name)):
        return stream.read()


def _opened(repo: str | None, rev: str | None) -> "DVCFileSystem":
    """Open a revision, or the working tree if `rev` is None.

    A project on this machine is opened in its folder, with its cache. DVC would look for it at the root of its git
    repository, which may be a folder above.
    """
    from dvc.api import DVCFileSystem
    from dvc.fs import GitFileSystem
    from dvc.repo import Repo
    from dvc.scm import SCM

    folder = Path(repo or ".")
    if rev is None or not (folder / Repo.DVC_DIR).is_dir():
        return DVCFileSystem(repo, rev=rev, subrepos=True)
    git = SCM(str(folder.resolve()))
    files = GitFileSystem(scm=git, rev=rev)
    root = Path("/") / folder.resolve().relative_to(Path(git.root_dir).resolve())
    for name in DVC_FILES:
        with suppress(FileNotFoundError):
            files.info(str(root / name))
    return DVCFileSystem(Repo(str(root), fs=files, scm=git))


@contextmanager
def _sharing_errors(subject: str) -> Iterator[None]:
    """Turn errors of DVC and git into SharingError."""
    from dvc.exceptions import DvcException
    from pygit2 import GitError
    from scmrepo.exceptions import SCMError

    try:
        yield
    except GitError as error:
        advice = "`git status` and `git fsck` in that repository say more, and what to do."
        raise SharingError(subject, f"git: {error}", advice) from error
    except (DvcException, SCMError) as error:
        raise SharingError(subject, str(error) or type(error).__name__) from error
