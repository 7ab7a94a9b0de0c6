"""Names of folders that are splits, and the classes that deeper folders may be."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
})  # fmt: skip
"""The names of each split, without regard to case: those that the library `datasets` knows."""
SPLITS = {alias: split for split, aliases in ALIASES.items() for alias in aliases}
NAMED = 3
"""Largest number of folders that an error names."""


def split_of(folder: str) -> str | None:
    """Return the split that a folder is by its name, or None."""
    return SPLITS.get(folder.casefold())


def splits_among(folders: Iterable[str]) -> set[str]:
    """Return the splits that the folders at the top are; none if these are classes.

    They are splits if all of them are called so, or if there is one to train on and another. A class may still be
    called `train`, beside other classes.
    """
    splits = [split_of(folder) for folder in folders]
    found = {split for split in splits if split is not None}
    return found if found and (None not in splits or ("train" in found and len(found) > 1)) else set()


def folders_in(folders: Sequence[str], folder: str) -> list[str]:
    """Return the names of the folders right below `folder`, which is '' for the top."""
    prefix = f"{folder}/" if folder else ""
    return [path[len(prefix) :] for path in folders if path.startswith(prefix) and "/" not in path[len(prefix) :]]


def deeper_folder(folders: Sequence[str]) -> str | None:
    """Return the first folder with several folders in it, below folders that are alone; None if there is none."""
    folder, inside = "", folders_in(folders, "")
    while len(inside) == 1:
        folder = f"{folder}/{inside[0]}" if folder else inside[0]
        inside = folders_in(folders, folder)
    return folder if folder and inside else None


def described(folders: Sequence[str], folder: str) -> str:
    """Return the first folders in a folder as text, and how many more there are."""
    names = folders_in(folders, folder)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
