"""Find the class and split of each picture in a folder, and the pictures with contradictory ones."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from pipeline.images.listing import RejectedFile
from pipeline.images.scan import Picture, Scan
from pipeline.images.splits import deeper_folder, described, folders_in, split_of, splits_among
from pipeline.runtime.errors import ImageFileError
from pipeline.schema.spelling import composed, nearest_name

OUTSIDE, TWO_CLASSES, TWO_SPLITS = "outside the layout", "shown in two classes", "also in another split"
SPLIT_ORDER = ("train", "validation", "test")
"""A picture in two splits stays in the later one, so that test images stay the same."""
NO_CLASSES = frozenset({"annotation", "annotations", "doc", "docs", "imagesets", "label", "labels", "meta", "metadata"})
"""Lower-case names of folders that describe images. Without a picture in it such a folder is no class."""


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
    depth: int  # place of the class in a path: 0, or 1 below splits


def arrange(scan: Scan, expected: ExpectedLayout) -> Layout:
    """Find class and split of every picture; raises ImageFileError when the folder has other subfolders."""
    splits = _splits(scan, expected)
    depth = 1 if expected.splits else 0
    bad = [*scan.bad]
    placed = []
    for picture in scan.pictures:
        *folders, _ = picture.path.split("/")
        split = splits.get(folders[0], "") if expected.splits and folders else ""
        if len(folders) <= depth or (expected.splits and not split):
            bad.append(RejectedFile(picture.path, OUTSIDE, f"wanted {_wanted(expected)}"))
        else:
            placed.append(PlacedPicture(picture, composed(folders[depth]), split))
    id_classes, held_out = _classes(scan, expected, splits, {item.class_name for item in placed})
    contradictions = _contradictions(placed, held_out)
    usable = tuple(item for item in placed if item.picture.path not in contradictions)
    return Layout(id_classes, held_out, usable, tuple(sorted([*bad, *contradictions.values()])), depth)


def _splits(scan: Scan, expected: ExpectedLayout) -> dict[str, str]:
    """Return the split of each folder at the top level; none if the source draws the splits.

    Without a folder to test on, images that are to validate are tested on if a share of the others validates.
    """
    top = folders_in(scan.folders, "")
    if not expected.splits:
        if splits_among(top):
            raise _splits_for_classes(scan, expected, top)
        return {}
    split_of_folder = {folder: split for folder in top if (split := split_of(folder))}
    if "validation" not in expected.splits and "test" not in split_of_folder.values():
        split_of_folder = {folder: split.replace("validation", "test") for folder, split in split_of_folder.items()}
    chosen = {folder: split for folder, split in split_of_folder.items() if split in expected.splits}
    if sorted(chosen.values()) != sorted(expected.splits):
        advice = "Put each there once, or set the source's `test` and `validation` to shares to have it split."
        if sorted(split_of_folder.values()) == ["train", "validation"]:
            advice = "Set the source's `validation` to a share: then the images of the validation split are tested on."
        if len(set(chosen.values())) < len(chosen):
            advice = "Put all images of a split into one folder."
        wanted = f"{' and '.join(f'{split}/' for split in expected.splits)}, or their usual other names, once each"
        raise ImageFileError(expected.path, f"{', '.join(top) or 'no folders'} ({len(chosen)} splits)", wanted, advice)
    return chosen


def _splits_for_classes(scan: Scan, expected: ExpectedLayout, top: list[str]) -> ImageFileError:
    """Return the error where folders are splits and should be classes, with what to do about it."""
    advice = "Put images of every class into a folder of its own, below a folder for training and one for testing."
    if "train" in (splits := splits_among(top)) and len(splits) > 1:
        shares = "`test` to null" if len(splits) == 2 else "`test` and `validation` to null"
        advice = f"Set the source's {shares} to use them."
    elif (deeper := deeper_folder(scan.folders)) is not None:
        advice = _deeper(expected.path, scan, deeper)
    found = f"folder{'s' * (len(top) > 1)} {', '.join(top)}"
    return ImageFileError(expected.path, found, "classes, not splits", advice)


def _deeper(path: str, scan: Scan, folder: str) -> str:
    return f"Name {path}/{folder} instead, if its folders are the classes: {described(scan.folders, folder)}."


def _classes(
    scan: Scan, expected: ExpectedLayout, splits: dict[str, str], with_pictures: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the ID classes and of the held-out classes, each sorted by name."""
    folders = [name for split in splits or [""] for name in folders_in(scan.folders, split)]
    names = sorted({
        name for name in map(composed, folders) if name in with_pictures or name.casefold() not in NO_CLASSES
    })  # fmt: skip
    held_out = {composed(name) for name in expected.held_out}
    id_classes = tuple(name for name in names if name not in held_out)
    missing = sorted(held_out - {*names})
    if len(id_classes) < 2 and (len(names) < 2 or not missing):
        raise _too_few_classes(scan, expected, len(id_classes))
    if missing:
        advice = f"Correct the source's `held_out`: {nearest_name(missing[0], names)}"
        raise ImageFileError(expected.path, f"no class folder {missing[0]!r}", "one of each class held out", advice)
    return id_classes, tuple(name for name in names if name in held_out)


def _too_few_classes(scan: Scan, expected: ExpectedLayout, count: int) -> ImageFileError:
    advice = f"Put images of every class into a folder of its own: {_wanted(expected)}."
    if not expected.splits and (deeper := deeper_folder(scan.folders)) is not None:
        advice = _deeper(expected.path, scan, deeper)
    found = f"{count} {'class' if count == 1 else 'classes'} to train on"
    return ImageFileError(expected.path, found, "two or more", advice)


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
