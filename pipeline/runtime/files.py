"""Write files that are either complete or absent, and compute digests."""

import glob
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.runtime.errors import OverwriteError

WORK = Path(".work")
"""Folder of unfinished work and caches, below the project's root. Git and DVC ignore it."""
PARTIAL = ".partial"
"""Suffix of a file that is still being written. Such a file is never read and never published."""


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path`. It is completely on disk before the name appears."""
    write_pieces(path, [content], sync=True)


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview], *, sync: bool) -> None:
    """Write `pieces` one after the other to `path`. The file is complete before the name appears.

    sync: wait until the file is on disk. Without it, a killed process still leaves the file complete or absent, but a
    power cut may leave it damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    with partial.open("wb") as stream:
        for piece in pieces:
            stream.write(piece)
        stream.flush()
        if sync:
            os.fsync(stream.fileno())
    partial.replace(path)


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


def digest(content: bytes | memoryview) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_files(folder: Path) -> list[Path]:
    """Return all finished files under `folder`, sorted by path."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(PARTIAL))


def folder_digest(folder: Path) -> str:
    """Return a digest of the names and contents of all files under `folder`."""
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
