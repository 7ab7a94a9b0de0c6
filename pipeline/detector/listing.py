"""Which images a command was given: files by name, folders with all that is in them, never all names in memory."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.detector.images import SUFFIXES
from pipeline.errors import ImageFileError


def image_files(sources: Iterable[Path]) -> Iterator[str]:
    """Yield every file that was named, and the images in every folder, sorted folder by folder.

    In a folder a file is an image by its ending, and names that start with a dot are passed over. Links to folders are
    not followed. The names of one folder at a time are in memory.
    """
    for source in sources:
        yield from _below(source) if source.is_dir() else [str(source)]


def count_images(sources: list[Path]) -> int:
    """Return how many there are; raises ImageFileError for a source that is not there, or a folder without any."""
    total = 0
    for source in sources:
        if not source.exists():
            raise ImageFileError(source, "nothing there", "an image or a folder of images", "Correct the path.")
        if not (found := sum(1 for _ in image_files([source]))):
            advice = "Name the folder that has them; files are found in the folders below too."
            raise ImageFileError(source, "no image", f"files that end in {', '.join(SUFFIXES)}", advice)
        total += found
    return total


def _below(folder: Path) -> Iterator[str]:
    here = str(folder / "_")[:-1]  # a path for each of a million files would take longer than to read some
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries if entry.name[0] != ".")
    for name, is_folder in found:
        if is_folder:
            yield from _below(folder / name)
        elif name.lower().endswith(SUFFIXES):
            yield here + name
