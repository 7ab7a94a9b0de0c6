"""Images in a folder of files: classes in subfolders, split here or there, or all of them OOD.

A folder is known to DVC by its path: what changes in it is not noticed there. A stage that runs sees it, and stores
made from different states of the folder are told apart by a digest.

The split depends on the seed and on what the pictures show. Neither the order in which a system lists files, nor their
names, nor another class has a say, and pictures that are added leave most others where they were.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.errors import ImageFileError
from pipeline.files import digest, json_bytes, printable
from pipeline.images.decode import NoPictureError, decode_file, quiet
from pipeline.images.folder_params import FolderImagesSource, FolderSource
from pipeline.images.image_set import UNKNOWN, ImageSet
from pipeline.images.layout import Layout, Placed, arrange
from pipeline.images.listing import SYSTEM, Bad
from pipeline.images.scan import Picture, scan_folder
from pipeline.images.split import Rows, limited

EXAMPLES = 3
"""Bad files that an error names, of however many there are."""


def labelled_folder(source: FolderSource, part: str) -> ImageSet:
    """Return one part: 'train', 'validation' and 'test' of the ID classes, or 'held_out', all of the other classes.

    Copies of a picture are always in the same part. Labels count the ID classes in the order of their names.
    """
    root = Path(source.path)
    layout = arrange(scan_folder(root, source.largest_pixels), source)
    _refuse(root, source.on_bad_image, layout.bad)
    parts = _parts(root, layout, source)
    rows = np.sort(np.concatenate(_limited(root, parts[part], source.limits.model_dump()[part], part)))
    labels = {name: label for label, name in enumerate(layout.id_classes)}
    chosen = [layout.placed[row] for row in rows]
    sizes = {name: sum(map(len, classes)) for name, classes in parts.items()}
    return ImageSet(
        labels=np.array([labels.get(one.class_name, UNKNOWN) for one in chosen], np.int32),
        class_names=() if part == "held_out" else layout.id_classes,
        read=_Files(root, [one.picture for one in chosen], source.largest_pixels).read,
        files=_account([one.picture for one in layout.placed], layout.bad, sizes, listed=part == "train"),
        paths=tuple(root / one.picture.path for one in chosen),
    )


def folder_images(source: FolderImagesSource) -> ImageSet:
    """Return images of a folder in the order of their paths, none of them of an ID class."""
    root = Path(source.path)
    scan = scan_folder(root, source.largest_pixels)
    _refuse(root, source.on_bad_image, scan.bad)
    if not scan.pictures:
        found = f"no images ({len(scan.bad)} other files)"
        raise ImageFileError(root, found, "at least one", "Name another folder in params.yaml.")
    drawn = sorted(range(len(scan.pictures)), key=lambda row: _lot(source.seed, scan.pictures[row]))
    chosen = [scan.pictures[row] for row in sorted(drawn[: source.images])]
    return ImageSet(
        labels=np.full(len(chosen), UNKNOWN, np.int32),
        class_names=(),
        read=_Files(root, chosen, source.largest_pixels).read,
        files=_account(scan.pictures, scan.bad, {"all": len(scan.pictures)}, listed=True),
        paths=tuple(root / one.path for one in chosen),
    )


class _Files:
    """The chosen files of a folder, decoded one by one."""

    def __init__(self, root: Path, pictures: Sequence[Picture], largest_pixels: int) -> None:
        self.root, self.pictures, self.largest_pixels = root, pictures, largest_pixels

    def read(self, index: int) -> Image.Image:
        """Return a picture as `decode` does; raises ImageFileError when the file has changed since it was looked at."""
        picture = self.pictures[index]
        file = self.root / picture.path
        try:
            found = file.stat()
            if (found.st_size, (found.st_mtime_ns, found.st_ctime_ns)) != (picture.size, picture.changed):
                raise _changed(file, "other times or another size")
            with quiet():
                return decode_file(file, self.largest_pixels)
        except (OSError, NoPictureError) as error:
            raise _changed(file, " ".join(str(error).split())) from error


def _changed(file: Path, found: str) -> ImageFileError:
    return ImageFileError(file, found, "the file as it was when its folder was looked through", "Run the stage again.")


def _parts(root: Path, layout: Layout, source: FolderSource) -> dict[str, list[Rows]]:
    """Return the rows of `layout.placed` in each part, class by class, in an order drawn by the seed."""
    parts: dict[str, list[Rows]] = {"train": [], "validation": [], "test": [], "held_out": []}
    rows_of: dict[str, list[int]] = {name: [] for name in (*layout.id_classes, *layout.held_out)}
    for row, one in enumerate(layout.placed):
        rows_of[one.class_name].append(row)
    for name in layout.held_out:
        parts["held_out"].append(_drawn(rows_of[name], layout.placed, source.seed)[0])
    for name in layout.id_classes:
        for part, rows in _class_parts(rows_of[name], layout.placed, source).items():
            parts[part].append(rows)
    for part, classes in parts.items():
        names = layout.held_out if part == "held_out" else layout.id_classes
        for name, rows in zip(names, classes, strict=True):
            if not len(rows):
                found = f"{len(rows_of[name])} images of class {name!r}, none of them for {part}"
                advice = "Add images, or choose other shares or another layout in params.yaml (docs/images.md)."
                raise ImageFileError(root, found, "at least one in every part", advice)
    return parts


def _class_parts(rows: Sequence[int], placed: Sequence[Placed], source: FolderSource) -> dict[str, Rows]:
    """Return the rows of one ID class by part: where the folder has it, of its split, else of a share of pictures."""
    given = {split: [row for row in rows if placed[row].split == split] for split in ("train", "validation", "test")}
    left, start = _drawn(given["train"] if source.test is None else rows, placed, source.seed)
    found, pictures, first = {}, len(start) - 1, 0
    for part, share in (("test", source.test), ("validation", source.validation)):
        if share is None:
            found[part] = _drawn(given[part], placed, source.seed)[0]
        else:
            last = first + round(pictures * share)
            found[part] = left[start[first] : start[last]]
            first = last
    return {"train": left[start[first] :], **found}


def _drawn(rows: Sequence[int], placed: Sequence[Placed], seed: int) -> tuple[Rows, list[int]]:
    """Return the rows in an order drawn by the seed, copies side by side, and where each picture starts.

    The second is one longer than there are pictures: the rows of picture i are those from start[i] to start[i + 1].
    """
    order = sorted(rows, key=lambda row: (_lot(seed, placed[row].picture), row))
    contents = [placed[row].picture.content for row in order]
    start = [place for place in range(len(order)) if place == 0 or contents[place] != contents[place - 1]]
    return np.array(order, np.int64), [*start, len(order)]


def _lot(seed: int, picture: Picture) -> bytes:
    """Return what a picture's place in a draw is by: the same for its copies, and as good as random."""
    return hashlib.sha256(f"{seed} {picture.content}".encode()).digest()


def _limited(root: Path, classes: list[Rows], limit: int | None, part: str) -> list[Rows]:
    if limit is not None and limit < len(classes):
        advice = "Raise it in params.yaml, or set it to null."
        raise ImageFileError(root, f"limits.{part} {limit}", f"one image of each of {len(classes)} classes", advice)
    return limited(classes, limit)


def _refuse(root: Path, policy: str, bad: Sequence[Bad]) -> None:
    """Raise ImageFileError where the policy is to fail and a file is bad; what a system left is never a reason to."""
    wrong = [one for one in bad if one.reason != SYSTEM]
    if policy == "skip" or not wrong:
        return
    told = [f"{printable(one.path)}: {one.reason}{f' ({one.detail})' if one.detail else ''}" for one in wrong]
    more = f"; and {len(wrong) - EXAMPLES} more" if len(wrong) > EXAMPLES else ""
    found = f"{len(wrong)} file{'s' * (len(wrong) > 1)} that cannot be used ({'; '.join(told[:EXAMPLES])}{more})"
    advice = "Mend or remove them, or set the source's `on_bad_image` to skip in params.yaml to leave them out."
    raise ImageFileError(root, found, "images only", advice)


def _account(pictures: Sequence[Picture], bad: Sequence[Bad], parts: dict[str, int], *, listed: bool) -> dict[str, Any]:
    """Return what was found: files = those of all parts, before any limit, + those skipped, by reason.

    listed: with the paths of what was skipped; one part of a source has them for all.
    """
    state = [[one.path, one.content] for one in pictures], [[one.path, one.reason] for one in bad]
    found: dict[str, Any] = {
        "digest": digest(json_bytes(state)),
        "found": len(pictures) + len(bad),
        "parts": parts,
        "repeated": len(pictures) - len({one.content for one in pictures}),
        "skipped": dict(sorted(Counter(one.reason for one in bad).items())),
    }
    if listed:
        found["skipped_files"] = {
            reason: [one.path for one in bad if one.reason == reason] for reason in found["skipped"]
        }
    return found
