"""Find the class and split of each picture in a folder, and the pictures with contradictory ones."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from pipeline.images.listing import RejectedFile
from pipeline.images.scan import Picture, Scan
from pipeline.runtime.errors import ImageFileError
from pipeline.schema.spelling import nearest_name

OUTSIDE, TWO_CLASSES, TWO_SPLITS = "outside the layout", "shown in two classes", "also in another split"
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
"""Split by the name of its folder."""
SPLIT_ORDER = ("train", "validation", "test")
"""A picture in two splits stays in the later one, so that test images stay the same."""


class ExpectedLayout(NamedTuple):
    """The layout of a folder that the parameters ask for."""

    path: str
    held_out: tuple[str, ...]
    splits: tuple[str, ...]  # folders at the top level; none if the classes are there


class PlacedPicture(NamedTuple):
    """A picture with its class and split; the split is '' if the source draws it."""

    picture: Picture
    class_name: str
    split: str


class Layout(NamedTuple):
    """The classes and usable pictures of a folder, sorted by path; every file is either placed or bad."""

    id_classes: tuple[str, ...]
    held_out: tuple[str, ...]
    placed: tuple[PlacedPicture, ...]
    bad: tuple[RejectedFile, ...]


def arrange(scan: Scan, expected: ExpectedLayout) -> Layout:
    """Find class and split of every picture; raises ImageFileError when the folder has other subfolders."""
    splits = _splits(scan, expected)
    bad = [*scan.bad]
    placed = []
    for picture in scan.pictures:
        *folders, _ = picture.path.split("/")
        split = splits.get(folders[0], "") if expected.splits and folders else ""
        inside = len(folders) >= (2 if expected.splits else 1)
        if not inside or (expected.splits and not split):
            bad.append(RejectedFile(picture.path, OUTSIDE, f"wanted {_wanted(expected)}"))
        else:
            placed.append(PlacedPicture(picture, folders[1 if expected.splits else 0], split))
    id_classes, held_out = _classes(scan, expected, splits)
    contradictions = _contradictions(placed, held_out)
    usable = tuple(item for item in placed if item.picture.path not in contradictions)
    return Layout(id_classes, held_out, usable, tuple(sorted([*bad, *contradictions.values()])))


def _splits(scan: Scan, expected: ExpectedLayout) -> dict[str, str]:
    """Return the split of each folder at the top level; none if the source draws the splits."""
    top = [folder for folder in scan.folders if "/" not in folder]
    split_of_folder = {folder: SPLITS[folder] for folder in top if folder in SPLITS}
    if not expected.splits:
        if "train" in split_of_folder and len(split_of_folder) > 1:
            found = f"folders {', '.join(split_of_folder)}"
            advice = "Set the source's `test` (and `validation`, if there is one) to null in params.yaml to use them."
            raise ImageFileError(expected.path, found, "classes, not splits", advice)
        return {}
    splits = [split for split in split_of_folder.values() if split in expected.splits]
    if sorted(splits) != sorted(expected.splits):
        advice = "Put each there once, or set the source's `test` and `validation` in params.yaml to have it split."
        wanted = " and ".join(
            "validation/ or val/" if split == "validation" else f"{split}/" for split in expected.splits
        )
        raise ImageFileError(expected.path, f"{', '.join(top) or 'no folders'} ({len(splits)} splits)", wanted, advice)
    return {folder: split for folder, split in split_of_folder.items() if split in expected.splits}


def _classes(scan: Scan, expected: ExpectedLayout, splits: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the ID classes and of the held-out classes, each sorted by name."""
    paths = [folder.split("/") for folder in scan.folders]
    if expected.splits:
        names = sorted({folders[1] for folders in paths if len(folders) == 2 and folders[0] in splits})
    else:
        names = sorted({folders[0] for folders in paths if len(folders) == 1})
    for name in expected.held_out:
        if name not in names:
            advice = f"Correct the source's `held_out` in params.yaml: {nearest_name(name, names)}"
            raise ImageFileError(expected.path, f"no class folder {name!r}", "one of each class held out", advice)
    id_classes = tuple(name for name in names if name not in expected.held_out)
    if len(id_classes) < 2:
        advice = f"Put images of every class into a folder of its own: {_wanted(expected)}."
        raise ImageFileError(expected.path, f"{len(id_classes)} classes to train on", "two or more", advice)
    return id_classes, tuple(name for name in names if name in expected.held_out)


def _wanted(expected: ExpectedLayout) -> str:
    return f"{Path(expected.path).name}/{'<split>/' if expected.splits else ''}<class>/<file>"


def _contradictions(placed: list[PlacedPicture], held_out: tuple[str, ...]) -> dict[str, RejectedFile]:
    """Return by path all copies of pictures with two classes, and the copies in the earlier of two splits."""
    copies_by_content = defaultdict(list)
    for item in placed:
        copies_by_content[item.picture.content].append(item)
    rejected = {}
    for copies in copies_by_content.values():
        last = max((item.split for item in copies), key=lambda split: SPLIT_ORDER.index(split) if split else 0)
        for item in copies:
            path = item.picture.path
            other = next((copy for copy in copies if copy.class_name != item.class_name), None)
            if other is not None:
                rejected[path] = RejectedFile(path, TWO_CLASSES, f"same picture as {other.picture.path}")
            elif item.split != last and item.class_name not in held_out:
                kept = next(copy for copy in copies if copy.split == last)
                rejected[path] = RejectedFile(path, TWO_SPLITS, f"same picture as {kept.picture.path}")
    return rejected
