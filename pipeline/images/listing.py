"""List the files below a folder in the same order on every machine, and say of what is no file why."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

SYSTEM = "system file"
UNREADABLE, EMPTY, NO_FILE, NAME = "unreadable", "empty", "no regular file", "name not in UTF-8"
BROKEN_LINK, LINK_OUT, FOLDER_LINK = "broken link", "link out of the folder", "link to a folder"
SYSTEM_NAMES = ("thumbs.db", "desktop.ini", "__macosx", "@eadir")
"""Lower-case names of what systems leave beside images; names that begin with a dot are such, too."""


class File(NamedTuple):
    """A file that may be an image; `path` is relative to the folder, with slashes."""

    path: str
    size: int
    changed: tuple[int, int]  # contents and attributes, in nanoseconds


class Bad(NamedTuple):
    """A file that is no image to be used: the `reason`, which files are counted by, and the `detail` in other words."""

    path: str
    reason: str
    detail: str


class Listing(NamedTuple):
    """Everything below a folder; each sorted by its path."""

    folders: tuple[str, ...]  # but those of the system
    files: tuple[File, ...]
    bad: tuple[Bad, ...]


def list_folder(root: Path) -> Listing:
    """Return what is below `root`, in folders within folders too.

    Folders behind links are never entered; a link to a file counts as the file, unless that lies outside `root`.
    """
    real, waiting = Path(os.path.realpath(root)), [""]
    folders: list[str] = []
    files: list[File] = []
    bad: list[Bad] = []
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(real / here), key=lambda entry: entry.name)
        except OSError as error:
            bad.append(Bad(_spelled(here) or ".", UNREADABLE, error.strerror or "no reason given"))
            continue
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
                folders += [] if _of_system(path) or _spelled(path) != path else [path]
            elif isinstance(found := _file(real, path), File):
                files.append(found)
            else:
                bad.append(found)
    return Listing(tuple(sorted(folders)), tuple(sorted(files)), tuple(sorted(bad)))


def _file(root: Path, path: str) -> File | Bad:
    if _of_system(path):
        return Bad(_spelled(path), SYSTEM, "")
    if _spelled(path) != path:
        return Bad(_spelled(path), NAME, "")
    target = root / path
    try:
        if target.is_symlink() and (reason := _wrong_link(root, target)):
            return Bad(path, reason, "")
        found = target.stat()
    except OSError as error:
        return Bad(path, UNREADABLE, error.strerror or "no reason given")
    if not stat.S_ISREG(found.st_mode):
        return Bad(path, NO_FILE, "")
    return File(path, found.st_size, (found.st_mtime_ns, found.st_ctime_ns)) if found.st_size else Bad(path, EMPTY, "")


def _wrong_link(root: Path, link: Path) -> str | None:
    try:
        target = link.resolve(strict=True)
    except PermissionError:
        raise
    except (OSError, RuntimeError):  # the latter of a circle, before Python 3.13
        return BROKEN_LINK
    if not target.is_relative_to(root):
        return LINK_OUT
    return FOLDER_LINK if target.is_dir() else None


def _of_system(path: str) -> bool:
    return any(part.startswith(".") or part.lower() in SYSTEM_NAMES for part in path.split("/"))


def _spelled(path: str) -> str:
    """Return a path that can be written as UTF-8; the same where it can be already."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
