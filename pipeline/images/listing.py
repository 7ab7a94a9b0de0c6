"""List the files below a folder in the same order on every machine, with the reason why a file cannot be used."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SYSTEM = "system file"
UNREADABLE, EMPTY, NO_FILE, NAME = "unreadable", "empty", "no regular file", "name not in UTF-8"
BROKEN_LINK, LINK_OUT, FOLDER_LINK = "broken link", "link out of the folder", "link to a folder"
SYSTEM_NAMES = frozenset({
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "system volume information", "$recycle.bin",
    "recycler", "recycled", "__macosx", "icon\r", "desktop db", "desktop df", "network trash folder", "temporary items",
    "@eadir", "#recycle", "#snapshot", "@recycle", "lost+found", "picasa.ini", "zbthumbnail.info", "__pycache__",
})  # fmt: skip
"""Lower-case names of files and folders that systems and programs write beside images. Names that begin with a dot
count too."""
SYSTEM_SUFFIXES = (":zone.identifier", ":encryptable")
"""What Windows adds to the name of a file to describe it, where another system copied the description as a file."""


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


class Entry(NamedTuple):
    """Something below a folder: what the system says of it, or the `problem` of a folder that cannot be listed."""

    path: str
    found: "os.DirEntry[str] | None"
    problem: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder that is entered; a link to a folder is not."""
        return self.found is not None and self.found.is_dir(follow_symlinks=False)


class Listing(NamedTuple):
    """All folders and files below a folder, each sorted by path."""

    folders: tuple[str, ...]  # without those of operating systems
    files: tuple[File, ...]
    bad: tuple[RejectedFile, ...]


def walk(root: Path, folder: str = "") -> Iterator[Entry]:
    """Yield everything below `root`, sorted by name folder by folder; what is in a folder comes right after it.

    Folders behind links are not entered. Only the names of one folder per level are in memory.
    """
    try:
        entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Entry(folder or ".", None, error.strerror or "no reason given")
        return
    for entry in entries:
        listed = Entry(f"{folder}/{entry.name}" if folder else entry.name, entry)
        yield listed
        if listed.is_folder:
            yield from walk(root, listed.path)


def list_folder(root: Path) -> Listing:
    """Return the files and folders below `root`, at any depth.

    Folders behind links are never entered. A link to a file counts as the file, unless the file is outside `root`.
    """
    real_root = Path(os.path.realpath(root))
    folders: list[str] = []
    files: list[File] = []
    bad: list[RejectedFile] = []
    for entry in walk(real_root):
        if entry.is_folder:
            folders += [] if is_system_file(entry.path) or as_utf8(entry.path) != entry.path else [entry.path]
        elif isinstance(file := _inspected(real_root, entry), File):
            files.append(file)
        else:
            bad.append(file)
    return Listing(tuple(sorted(folders)), tuple(sorted(files)), tuple(sorted(bad)))


def is_system_file(path: str) -> bool:
    """Return whether a path below a folder is, or lies in, what a system or program writes beside images."""
    return any(
        part.startswith(".") or part.lower() in SYSTEM_NAMES or part.lower().endswith(SYSTEM_SUFFIXES)
        for part in path.split("/")
        if part != "."
    )


def as_utf8(path: str) -> str:
    """Return the path with everything escaped that UTF-8 cannot spell; other paths stay the same."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _inspected(root: Path, entry: Entry) -> File | RejectedFile:
    path = entry.path
    if is_system_file(path):
        return RejectedFile(as_utf8(path), SYSTEM, "")
    if entry.found is None:
        return RejectedFile(as_utf8(path), UNREADABLE, entry.problem)
    if as_utf8(path) != path:
        return RejectedFile(as_utf8(path), NAME, "")
    try:
        return _wrong_link(root, path) or _regular_file(root, path)
    except OSError as error:
        return RejectedFile(path, UNREADABLE, error.strerror or "no reason given")


def _regular_file(root: Path, path: str) -> File | RejectedFile:
    status = (root / path).stat()
    if not stat.S_ISREG(status.st_mode):
        return RejectedFile(path, NO_FILE, "")
    file = File(path, status.st_size, (status.st_mtime_ns, status.st_ctime_ns))
    return file if file.size else RejectedFile(path, EMPTY, "")


def _wrong_link(root: Path, path: str) -> RejectedFile | None:
    link = root / path
    if not link.is_symlink():
        return None
    try:
        target = link.resolve(strict=True)
    except PermissionError:
        raise
    except (OSError, RuntimeError):  # RuntimeError: a circle of links, before Python 3.13
        return RejectedFile(path, BROKEN_LINK, "")
    if not target.is_relative_to(root):
        return RejectedFile(path, LINK_OUT, f"to {as_utf8(str(target))}")
    return RejectedFile(path, FOLDER_LINK, "") if target.is_dir() else None
