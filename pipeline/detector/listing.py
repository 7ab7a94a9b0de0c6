"""List the images below the given files and folders as training does, and count what is passed over by reason."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.images.decode import quiet
from pipeline.images.encoded.no_picture import NO_IMAGE
from pipeline.images.formats import SUFFIXES, has_known_format
from pipeline.images.listing import BROKEN_LINK, FOLDER_LINK, NO_FILE, SYSTEM, UNREADABLE, Entry, is_system_file, walk
from pipeline.runtime.errors import ImageFileError


@dataclass
class PassedOver:
    """Files that are not judged: their number by reason, and the first of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, file: str) -> None:
        """Count a file."""
        self.counts[reason] += 1
        self.examples.setdefault(reason, file)

    def __str__(self) -> str:
        """Return the numbers by reason in one line, the reasons sorted; empty if nothing is passed over."""
        return "; ".join(
            f"{count:,} {reason} ({self.examples[reason]}{', ...' * (count > 1)})"
            for reason, count in sorted(self.counts.items())
        )


def image_files(sources: Iterable[Path], passed_over: PassedOver | None = None) -> Iterator[str]:
    """Yield every source that is a file, and the images in every source that is a folder, folder by folder, sorted.

    In a folder, an image is a file whose name ends like that of an image, whatever is wrong with it. So is a file with
    another name or none that begins like an image. A folder that cannot be listed is yielded in place of its images, so
    that it is not missed. Links to folders are not followed. Only the names of one folder per level are in memory.

    passed_over: counts all other files.
    """
    for source in sources:
        if source.is_dir():
            yield from _images_below(source, PassedOver() if passed_over is None else passed_over)
        else:
            yield str(source)


def count_images(sources: list[Path], passed_over: PassedOver | None = None) -> int:
    """Return the number of images; raises ImageFileError for a missing source or a folder without images.

    passed_over: counts the other files in folders.
    """
    total, passed_over = 0, PassedOver() if passed_over is None else passed_over
    for source in sources:
        if not source.exists():
            raise ImageFileError(source, "nothing there", "an image or a folder of images", "Correct the path.")
        others = PassedOver()
        if not (images := sum(1 for _ in image_files([source], others))):
            advice = "Name the folder that has them; its subfolders are searched too."
            raise ImageFileError(source, f"no image{f' ({others})' if others.counts else ''}", "images", advice)
        total += images
        for reason, count in others.counts.items():
            passed_over.add(reason, others.examples[reason])
            passed_over.counts[reason] += count - 1
    return total


def _images_below(folder: Path, passed_over: PassedOver) -> Iterator[str]:
    prefix = str(folder / "_")[:-1]  # strings, since a million Path objects would take longer than reading some files
    for entry in walk(folder):
        if entry.is_folder:
            continue
        file = str(folder) if entry.path == "." else prefix + entry.path.replace("/", os.sep)
        if reason := _passed_over(entry, file):
            passed_over.add(reason, file)
        else:
            yield file


def _passed_over(entry: Entry, file: str) -> str | None:
    """Return why something in a folder is not judged; None for an image, and for a folder that cannot be listed."""
    if is_system_file(entry.path):
        return SYSTEM
    if entry.found is None:
        return None
    if entry.found.is_symlink() and os.path.isdir(file):  # noqa: PTH112  # a path as text, see above
        return FOLDER_LINK
    if entry.path.lower().endswith(SUFFIXES):
        return None
    return _unlike_an_image(file)


def _unlike_an_image(file: str) -> str | None:
    """Return why a file whose name says nothing is no image; None if it begins like one."""
    if not os.path.isfile(file):  # noqa: PTH113  # a path as text, see above
        return NO_FILE if os.path.exists(file) else BROKEN_LINK  # noqa: PTH110
    try:
        with open(file, "rb") as stream, quiet():  # noqa: PTH123
            return None if has_known_format(stream) else NO_IMAGE
    except OSError:
        return UNREADABLE
