"""Write files that are either complete or absent, read files of strangers, and compute digests."""

import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.runtime.errors import OverwriteError

WORK = Path(".work")
"""Folder of unfinished work and caches, below the project's root. Git and DVC ignore it."""
MANIFEST = "manifest.json"
"""The file that lists all others of a finished store or output, with their digests. It is written last."""
PARTIAL = ".partial"
"""Suffix of a file that is still being written. Such a file is never read and never published."""

CACHED_OBJECT = re.compile(r"/(files/md5/[0-9a-f]{2}/[0-9a-f]{30}|blobs/([0-9a-f]{40}|[0-9a-f]{64}))\Z")
"""End of the path of a file in DVC's cache or in the cache of the hub. Its name is a digest of its content."""
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

LARGEST_CARD = 2**26
"""Largest size in bytes of a JSON file that describes a bundle, network or store; 10^5 classes need less."""


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path`. It is completely on disk before the name appears.

    What a killed process left of the same file is deleted.
    """
    remove_abandoned(path)
    write_pieces(path, [content], sync=True)


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview], *, sync: bool) -> None:
    """Write `pieces` one after the other to `path`. The file is complete before the name appears, or nothing is left.

    sync: wait until the file is on disk. Without it, a killed process still leaves the file complete or absent, but a
    power cut may leave it damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    try:
        with partial.open("wb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def partial_path(path: Path) -> Path:
    """Return the temporary name of `path`. It is unique among the processes of all machines that share the folder."""
    return path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}{PARTIAL}")


def write_json(path: Path, content: object) -> None:
    """Write `content` as JSON. Equal content gives equal bytes."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: object) -> bytes:
    """Return `content` as JSON in the format of all JSON files: sorted keys, no NaN, newline at the end."""
    return (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; raises OSError or ValueError, which the caller has to explain."""
    return json.loads(path.read_bytes())


def read_description(path: Path, *, inside: Path) -> bytes:
    """Return the content of a JSON file of the folder `inside`; raises OSError as `open_regular`, and if it is large.

    Largest is LARGEST_CARD, since its size is promised nowhere.
    """
    with open_regular(path, inside=inside) as stream:
        content = stream.read(LARGEST_CARD + 1)
    if len(content) > LARGEST_CARD:
        raise _unfit(path, f"more than {LARGEST_CARD:,} bytes, wanted a description")
    return content


def open_regular(path: Path, *, inside: Path, size: int | None = None) -> BinaryIO:
    """Open a file of a bundle or store without a buffer; never waits, as opening a named pipe would.

    Raises OSError, whose `strerror` says what was found and wanted, unless the path leads to a regular file inside the
    folder `inside`, of `size` bytes where that is given. A link out of the folder may lead to an object of DVC's cache
    or of the hub's: their files are links there, and whoever names such an object knows its content.
    """
    if "\0" in str(path):
        raise _unfit(path, "a name with a null character, wanted the name of a file")
    real, folder = os.path.realpath(path), os.path.realpath(inside)
    if os.path.commonpath([real, folder]) != folder and not CACHED_OBJECT.search(real):
        raise _unfit(path, f"a link to {real}, wanted a file inside {inside}")
    stream = open(real, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115  # the caller closes it
    try:
        _require_regular(path, os.fstat(stream.fileno()), size)
    except OSError:
        stream.close()
        raise
    return stream


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _require_regular(path: Path, status: os.stat_result, size: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _unfit(path, f"{KINDS[stat.S_IFMT(status.st_mode)]}, wanted a regular file")
    if size is not None and status.st_size != size:
        raise _unfit(path, f"{status.st_size:,} bytes, wanted {size:,}")


def _unfit(path: Path, strerror: str) -> OSError:
    return OSError(errno.EINVAL, strerror, str(path))


def digest(content: bytes | memoryview) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_files(folder: Path) -> list[Path]:
    """Return all finished files under `folder`, sorted by path, without the folder's own manifest."""
    manifest = folder / MANIFEST
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(PARTIAL) and p != manifest)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files in a folder and below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def folder_digest(folder: Path) -> str:
    """Return a digest of the names and contents of all files under `folder`, without its own manifest."""
    lines = [f"{path.relative_to(folder).as_posix()} {file_digest(path)}" for path in folder_files(folder)]
    return digest("\n".join(lines).encode())


def remove_partial_files(folder: Path) -> None:
    """Delete the files and folders that an interrupted write left under `folder`."""
    for path in sorted(folder.rglob(f"*{PARTIAL}"), reverse=True):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def require_new(folder: Path) -> None:
    """Raise OverwriteError when a folder that is to be made already exists."""
    if folder.exists():
        raise OverwriteError(folder, "an existing file or folder", "a new folder", "Delete it, or choose another name.")


@contextmanager
def whole_or_absent(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `folder` at the end, or deleted if the body raises an error.

    Remains of the same folder from a killed process are deleted first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    partial = partial_path(folder)
    partial.mkdir()
    try:
        yield partial
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial)
        raise


def remove_abandoned(path: Path) -> None:
    """Delete unfinished versions of `path` from processes of this machine that no longer run.

    A version with this process's id is deleted too. It is from an earlier process, since this one has not begun to
    write `path`.
    """
    prefix = f"{path.name}.{platform.node()}."
    for partial in path.parent.glob(f"{glob.escape(prefix)}*{PARTIAL}"):
        process = partial.name.removeprefix(prefix).removesuffix(PARTIAL)
        if process.isdecimal() and (int(process) == os.getpid() or not _is_running(int(process))):
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # a process of another user, or not a valid process id
        return True
    return True
