"""List the files below a folder in the same order on every machine, with the reason why a file cannot be used."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

SYSTEM = "system file"
UNREADABLE, EMPTY, NO_FILE, NAME = "unreadable", "empty", "no regular file", "name not in UTF-8"
BROKEN_LINK, LINK_OUT, FOLDER_LINK = "broken link", "link out of the folder", "link to a folder"
SYSTEM_NAMES = ("thumbs.db", "desktop.ini", "__macosx", "@eadir")
"""Lower-case names of files that operating systems write beside images. Names that begin with a dot count too."""


class File(NamedTuple):
    """A file that may be an image; `path` is relative to the folder, with slashes."""

    path: str
    size: int
    changed: tuple[int, int]  # times of the last change of contents and of attributes, in nanoseconds


class RejectedFile(NamedTuple):
    """A file that is not a usable image: a `reason`, by which files are counted, and a `detail` that explains it."""

    path: str
    reason: str
    detail: str


class Listing(NamedTuple):
    """All folders and files below a folder, each sorted by path."""

    folders: tuple[str, ...]  # without those of operating systems
    files: tuple[File, ...]
    bad: tuple[RejectedFile, ...]


def list_folder(root: Path) -> Listing:
    """Return the files and folders below `root`, at any depth.

    Folders behind links are never entered. A link to a file counts as the file, unless the file is outside `root`.
    """
    real_root, pending = Path(os.path.realpath(root)), [""]
    folders: list[str] = []
    files: list[File] = []
    bad: list[RejectedFile] = []
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(real_root / folder), key=lambda entry: entry.name)
        except OSError as error:
            bad.append(RejectedFile(_as_utf8(folder) or ".", UNREADABLE, error.strerror or "no reason given"))
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
                folders += [] if _is_system_file(path) or _as_utf8(path) != path else [path]
            elif isinstance(file := _inspected(real_root, path), File):
                files.append(file)
            else:
                bad.append(file)
    return Listing(tuple(sorted(folders)), tuple(sorted(files)), tuple(sorted(bad)))


def _inspected(root: Path, path: str) -> File | RejectedFile:
    if _is_system_file(path):
        return RejectedFile(_as_utf8(path), SYSTEM, "")
    if _as_utf8(path) != path:
        return RejectedFile(_as_utf8(path), NAME, "")
    target = root / path
    try:
        if target.is_symlink() and (reason := _wrong_link(root, target)):
            return RejectedFile(path, reason, "")
        status = target.stat()
    except OSError as error:
        return RejectedFile(path, UNREADABLE, error.strerror or "no reason given")
    if not stat.S_ISREG(status.st_mode):
        return RejectedFile(path, NO_FILE, "")
    file = File(path, status.st_size, (status.st_mtime_ns, status.st_ctime_ns))
    return file if file.size else RejectedFile(path, EMPTY, "")


def _wrong_link(root: Path, link: Path) -> str | None:
    try:
        target = link.resolve(strict=True)
    except PermissionError:
        raise
    except (OSError, RuntimeError):  # RuntimeError: a circle of links, before Python 3.13
        return BROKEN_LINK
    if not target.is_relative_to(root):
        return LINK_OUT
    return FOLDER_LINK if target.is_dir() else None


def _is_system_file(path: str) -> bool:
    return any(part.startswith(".") or part.lower() in SYSTEM_NAMES for part in path.split("/"))


def _as_utf8(path: str) -> str:
    """Return the path with everything escaped that UTF-8 cannot spell; other paths stay the same."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
