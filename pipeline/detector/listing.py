"""List the image files below the given files and folders, with the names of one folder at a time in memory."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.detector.images import SUFFIXES
from pipeline.runtime.errors import ImageFileError


def image_files(sources: Iterable[Path]) -> Iterator[str]:
    """Yield every source that is a file, and the image files in every source that is a folder, sorted by folder.

    In a folder, files with an image suffix are taken, and names that start with a dot are skipped. Links to folders are
    not followed. Only the names of one folder at a time are in memory.
    """
    for source in sources:
        yield from _files_below(source) if source.is_dir() else [str(source)]


def count_images(sources: list[Path]) -> int:
    """Return the number of image files; raises ImageFileError for a missing source or a folder without images."""
    total = 0
    for source in sources:
        if not source.exists():
            raise ImageFileError(source, "nothing there", "an image or a folder of images", "Correct the path.")
        if not (images := sum(1 for _ in image_files([source]))):
            advice = "Name the folder that has them; its subfolders are searched too."
            raise ImageFileError(source, "no image", f"files that end in {', '.join(SUFFIXES)}", advice)
        total += images
    return total


def _files_below(folder: Path) -> Iterator[str]:
    prefix = str(folder / "_")[:-1]  # strings, since a million Path objects would take longer than reading some files
    with os.scandir(folder) as entries:
        names = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries if entry.name[0] != ".")
    for name, is_folder in names:
        if is_folder:
            yield from _files_below(folder / name)
        elif name.lower().endswith(SUFFIXES):
            yield prefix + name
