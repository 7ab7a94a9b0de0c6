"""The folders of photographs that a new project is made for: their layout, and the names of their image sets."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.images.image_set import ImageSet
from pipeline.images.listing import is_system_file
from pipeline.images.sources.base import ImageLocation
from pipeline.images.sources.folder import FolderImagesSource, FolderSource
from pipeline.images.splits import split_of, splits_among
from pipeline.params.sets import ID_SETS
from pipeline.runtime.errors import ImageFileError
from pipeline.schema.reader import parse_yaml, validate
from pipeline.schema.text import dump_yaml

PHOTOS = "photos"
PARTS = ("train", "validation", "test")
FEWEST = {"train": 2, "validation": 1, "test": 1}
"""Fewest images of a class in each part: an image that is trained on is compared with others of its class."""
Group = Literal["near", "far"]


class ImageFolders(NamedTuple):
    """The folders that a project is made for."""

    photos: Path  # in one folder per class
    near: Sequence[Path] = ()  # images that could be taken for a class
    far: Sequence[Path] = ()  # images of entirely different things


@dataclass(frozen=True)
class Photos:
    """A folder of labelled photographs, with its splits."""

    source: dict[str, Any]  # the parameters of the source
    parts: Mapping[str, ImageSet]
    notes: tuple[str, ...]  # what the parameters alone do not say

    def pictures(self, part: str) -> dict[str, int]:
        """Return the number of images of each class in a part."""
        return self.parts[part].class_sizes()


@dataclass(frozen=True)
class OodFolder:
    """A folder of OOD images."""

    folder: Path
    group: Group
    images: ImageSet


def open_photos(folder: Path, template: Mapping[str, Any], *, leave_out_small: bool) -> Photos:
    """Return the photographs in `folder`.

    Where it has a subfolder for training and another split, such as `train` and `test`, these splits are used. Without
    a split to test on, the images of the validation split are tested on, and a share of the others validates.

    leave_out_small: hold out the classes with too few images. Without it they raise ImageFileError, which names them.
    """
    source = {**template, "path": str(folder)}
    notes = []
    top = _subfolders(folder)
    splits = splits_among(top)
    if "train" in splits and len(splits) > 1:
        source |= {"test": None, "validation": None if len(splits) == len(PARTS) else source["validation"]}
        if "test" not in splits:
            name = next(name for name in top if split_of(name) == "validation")
            notes.append(f"{name}/ is the test part; validation is {source['validation']} of the images to train on")
    small = _folder_source(folder, source).small_classes(FEWEST)
    if small and not leave_out_small:
        wanted = "2 images or more of every class for train, 1 for validation and 1 for test"
        advice = "Add images, or, if two classes remain, leave these out with --leave-out-small."
        raise ImageFileError(folder, "; ".join(small.values()), wanted, advice)
    source["held_out"] = [*small]
    folder_source = _folder_source(folder, source)
    parts = {part: folder_source.open(part) for part in PARTS}
    notes += [f"left out (held_out): {found}" for found in small.values()]
    return Photos(source, parts, tuple(notes))


def open_ood_folders(folders: ImageFolders, template: Mapping[str, Any]) -> dict[str, OodFolder]:
    """Return the OOD folders by the name of their image set, which is made from the name of the folder."""
    ood_folders: dict[str, OodFolder] = {}
    shared_params = {name: template[name] for name in ("on_bad_image", "largest_pixels", "seed")}
    groups: list[tuple[Path, Group]] = [(folder, "near") for folder in folders.near]
    groups += [(folder, "far") for folder in folders.far]
    for folder, group in groups:
        name = next(name for name in _names(folder, group) if name not in (PHOTOS, *ID_SETS, *ood_folders))
        source = {"kind": "folder_images", "path": str(folder), "images": None, **shared_params}
        ood_folders[name] = OodFolder(folder, group, validate(folder, FolderImagesSource, _plain(source)).open("all"))
    return ood_folders


def require_apart(folders: Sequence[Path]) -> None:
    """Raise ImageFileError when one of the folders is another of them, or lies inside it, links followed."""
    for first, second in permutations(folders, 2):
        inner, outer = (ImageLocation(str(folder)).resolved() for folder in (first, second))
        if inner == outer or inner.is_inside(outer):
            found = f"the folder {second} {'again' if inner == outer else 'around it'}"
            advice = "An image in both would be trained on and tested on. Move one of them, or name other folders."
            raise ImageFileError(first, found, "folders apart from each other", advice)


def _subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder; raises ImageFileError where there is none."""
    if not folder.is_dir():
        wanted = "a folder with a subfolder of images per class"
        raise ImageFileError(folder, "no folder", wanted, "Name another folder.")
    return [
        entry.name
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.is_symlink() and not is_system_file(entry.name)
    ]


def _folder_source(folder: Path, source: Mapping[str, Any]) -> FolderSource:
    return validate(folder, FolderSource, _plain(source))


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as plain types, which the strict models accept."""
    return parse_yaml("source", dump_yaml(dict(source)).encode())


def _names(folder: Path, group: Group) -> Iterator[str]:
    """Yield names for the image set of a folder: from its own in plain letters, else its group; then with numbers."""
    spelled = unicodedata.normalize("NFKD", folder.absolute().name).casefold()
    letters = "".join(letter for letter in spelled if not unicodedata.combining(letter))
    plain = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    has_other_letters = any(letter.isalnum() and not letter.isascii() for letter in letters)
    name = group if has_other_letters or not plain else plain
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
