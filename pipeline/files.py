"""Write files that are either whole or absent, and name bytes by their digest."""

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

from pipeline.errors import OverwriteError

PARTIAL = ".partial"
"""Suffix of a file that is still being written; such a file is never read and never published."""


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path`: on disk in full before the name appears."""
    write_pieces(path, [content], sync=True)


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview], *, sync: bool) -> None:
    """Write `pieces` one after the other to `path`: whole before the name appears.

    Without `sync` a killed process still leaves the file whole or absent; after a power cut it may be torn.
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
    """Return the name of `path` until it is whole; no other process has the same, on no machine of a shared folder."""
    return path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}{PARTIAL}")


def write_json(path: Path, content: object) -> None:
    """Write `content` as JSON that is the same bytes for the same content."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: object) -> bytes:
    """Return the one spelling of `content` used in every JSON file: sorted keys, no NaN, newline at the end."""
    return (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; OSError and ValueError are the caller's to explain."""
    return json.loads(path.read_bytes())


def digest(content: bytes | memoryview) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_files(folder: Path) -> list[Path]:
    """Return every finished file under `folder`, sorted by its path."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(PARTIAL))


def folder_digest(folder: Path) -> str:
    """Return one digest for the names and contents of all files under `folder`."""
    lines = [f"{path.relative_to(folder).as_posix()} {file_digest(path)}" for path in folder_files(folder)]
    return digest("\n".join(lines).encode())


def printable(name: str) -> str:
    """Return a name that may hold anything as one line to be read: control characters are spelled out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def remove_partial_files(folder: Path) -> None:
    """Delete the files and folders that an interrupted write left under `folder`."""
    for path in sorted(folder.rglob(f"*{PARTIAL}"), reverse=True):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def require_new(folder: Path) -> None:
    """Raise OverwriteError when the folder to be made is there."""
    if folder.exists():
        raise OverwriteError(folder, "something there already", "a new folder", "Delete it, or name another.")


@contextmanager
def whole_or_absent(folder: Path) -> Iterator[Path]:
    """Yield a folder to fill that gets its name at the end, or is deleted when something goes wrong.

    What a killed process left of the same folder is deleted first.
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
    """Delete what processes of this machine that are gone, and so never give it its name, have left of `path`.

    A number of this process is that of an earlier one: this one has not begun.
    """
    mine = f"{path.name}.{platform.node()}."
    for partial in path.parent.glob(f"{glob.escape(mine)}*{PARTIAL}"):
        process = partial.name.removeprefix(mine).removesuffix(PARTIAL)
        if process.isdecimal() and (int(process) == os.getpid() or not _runs(int(process))):
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's, or no number that a process has
        return True
    return True
