"""Say which class and split the files of a folder belong to, and which pictures contradict that."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from pipeline.config import nearest_name
from pipeline.errors import ImageFileError
from pipeline.images.folder_params import FolderSource
from pipeline.images.listing import Bad
from pipeline.images.scan import Picture, Scan

OUTSIDE, TWO_CLASSES, TWO_SPLITS = "outside the layout", "shown in two classes", "also in another split"
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
"""Folders that mean a split."""
KEEPS = ("train", "validation", "test")
"""Of the same picture in two splits, the later one keeps it: what is tested on stays what it was."""


class Placed(NamedTuple):
    """A picture, its class, and the split it was put into; '' where it is ours to split."""

    picture: Picture
    class_name: str
    split: str


class Layout(NamedTuple):
    """A folder as its pictures can be used, by path; every file is either placed or bad."""

    id_classes: tuple[str, ...]
    held_out: tuple[str, ...]
    placed: tuple[Placed, ...]
    bad: tuple[Bad, ...]


def arrange(scan: Scan, source: FolderSource) -> Layout:
    """Place every picture; raises ImageFileError when the subfolders are not what the source says."""
    splits = _splits(scan, source)
    bad = [*scan.bad]
    placed = []
    for picture in scan.pictures:
        *folders, _ = picture.path.split("/")
        split = splits.get(folders[0], "") if source.test is None and folders else ""
        inside = len(folders) >= (2 if source.test is None else 1)
        if not inside or (source.test is None and not split):
            bad.append(Bad(picture.path, OUTSIDE, f"wanted {_wanted(source)}"))
        else:
            placed.append(Placed(picture, folders[1 if source.test is None else 0], split))
    id_classes, held_out = _classes(scan, source, splits)
    contradictions = _contradictions(placed, held_out)
    left = tuple(one for one in placed if one.picture.path not in contradictions)
    return Layout(id_classes, held_out, left, tuple(sorted([*bad, *contradictions.values()])))


def _splits(scan: Scan, source: FolderSource) -> dict[str, str]:
    """Return the split that each folder at the top means; none where the splits are ours to make."""
    top = [folder for folder in scan.folders if "/" not in folder]
    found = {folder: SPLITS[folder] for folder in top if folder in SPLITS}
    if source.test is not None:
        if "train" in found and len(found) > 1:
            advice = "Set the source's `test` (and `validation`, if there is one) to null in params.yaml to use them."
            raise ImageFileError(source.path, f"folders {', '.join(found)}", "classes, not splits", advice)
        return {}
    wanted = ["train", "test", *(["validation"] if source.validation is None else [])]
    if sorted(kept := [split for split in found.values() if split in wanted]) != sorted(wanted):
        advice = "Put each there once, or set the source's `test` and `validation` in params.yaml to have it split."
        names = " and ".join("validation/ or val/" if split == "validation" else f"{split}/" for split in wanted)
        raise ImageFileError(source.path, f"{', '.join(top) or 'no folders'} ({len(kept)} splits)", names, advice)
    return {folder: split for folder, split in found.items() if split in wanted}


def _classes(scan: Scan, source: FolderSource, splits: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the ID classes and of those held out, each sorted: folders have no other order."""
    steps = [folder.split("/") for folder in scan.folders]
    if source.test is None:
        names = sorted({folders[1] for folders in steps if len(folders) == 2 and folders[0] in splits})
    else:
        names = sorted({folders[0] for folders in steps if len(folders) == 1})
    for name in source.held_out:
        if name not in names:
            advice = f"Correct the source's `held_out` in params.yaml: {nearest_name(name, names)}"
            raise ImageFileError(source.path, f"no class folder {name!r}", "one of each class held out", advice)
    known = tuple(name for name in names if name not in source.held_out)
    if len(known) < 2:
        advice = f"Put images of every class into a folder of its own: {_wanted(source)}."
        raise ImageFileError(source.path, f"{len(known)} classes to train on", "two or more", advice)
    return known, tuple(name for name in names if name in source.held_out)


def _wanted(source: FolderSource) -> str:
    return f"{Path(source.path).name}/{'<split>/' if source.test is None else ''}<class>/<file>"


def _contradictions(placed: list[Placed], held_out: tuple[str, ...]) -> dict[str, Bad]:
    """Return by path the pictures with two classes, all copies, and those in two splits, the copies in the earlier."""
    copies = defaultdict(list)
    for one in placed:
        copies[one.picture.content].append(one)
    found = {}
    for same in copies.values():
        last = max((one.split for one in same), key=lambda split: KEEPS.index(split) if split else 0)
        for one in same:
            other = next((copy for copy in same if copy.class_name != one.class_name), None)
            if other is not None:
                found[one.picture.path] = Bad(one.picture.path, TWO_CLASSES, f"it is {other.picture.path} too")
            elif one.split != last and one.class_name not in held_out:
                keeper = next(copy for copy in same if copy.split == last)
                found[one.picture.path] = Bad(one.picture.path, TWO_SPLITS, f"it is {keeper.picture.path} too")
    return found
