"""Divide the pictures of a folder among the parts of its source, and say which classes are too small for that."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.images.layout import SPLIT_ORDER, Layout, PlacedPicture
from pipeline.images.listing import RejectedFile
from pipeline.images.selection import RowNumbers, shuffled_pictures
from pipeline.schema.spelling import composed


class Shares(NamedTuple):
    """The shares of a class that validate and test, or None where the folder has a split for it."""

    validation: float | None
    test: float | None
    seed: int


def divided(layout: Layout, shares: Shares) -> dict[str, list[RowNumbers]]:
    """Return the rows of `layout.placed` in each part, class by class, in an order drawn from the seed."""
    parts: dict[str, list[RowNumbers]] = {part: [] for part in (*SPLIT_ORDER, "held_out")}
    class_rows: dict[str, list[int]] = {name: [] for name in (*layout.id_classes, *layout.held_out)}
    for row, item in enumerate(layout.placed):
        class_rows[item.class_name].append(row)
    for name in layout.held_out:
        parts["held_out"].append(_shuffled(class_rows[name], layout.placed, shares.seed)[0])
    for name in layout.id_classes:
        for part, rows in _class_parts(class_rows[name], layout.placed, shares).items():
            parts[part].append(rows)
    return parts


def small_classes(
    layout: Layout, parts: Mapping[str, Sequence[RowNumbers]], wanted: Mapping[str, int]
) -> dict[str, str]:
    """Return by name the ID classes with fewer images in a part than `wanted`, each with the reasons as text."""
    small = {}
    for index, name in enumerate(layout.id_classes):
        counts = {part: len(parts[part][index]) for part in wanted}
        if any(count < wanted[part] for part, count in counts.items()):
            few = [f"{count} of them for {part}" for part, count in counts.items() if 0 < count < wanted[part]]
            empty = ", ".join(part for part, count in counts.items() if not count)
            found = ", ".join([*few, *([f"none of them for {empty}"] if empty else [])])
            rows = [row for part in SPLIT_ORDER for row in parts[part][index].tolist()]
            small[name] = f"{_images(name, rows, layout)}, {found}{_left_out(name, layout)}"
    return small


def _images(name: str, rows: Sequence[int], layout: Layout) -> str:
    pictures = len({layout.placed[row].picture.content for row in rows})
    copies = f" (copies of {_counted(pictures, 'picture')})" if pictures < len(rows) else ""
    return f"{_counted(len(rows), 'image')}{copies} of class {name!r}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _left_out(name: str, layout: Layout) -> str:
    """Return how many files of a class cannot be used, by reason, with an example of each."""
    files = [file for file in layout.bad if _class_of(file, layout.depth) == name]
    examples = {file.reason: file for file in reversed(files)}
    reasons = [
        f"{count} {reason}, such as {examples[reason].path}{_detail(examples[reason])}"
        for reason, count in sorted(Counter(file.reason for file in files).items())
    ]
    return f" ({'; '.join(reasons)})" if reasons else ""


def _class_of(file: RejectedFile, depth: int) -> str | None:
    folders = file.path.split("/")
    return composed(folders[depth]) if len(folders) > depth + 1 else None


def _detail(file: RejectedFile) -> str:
    return f": {file.detail}" if file.detail else ""


def _class_parts(rows: Sequence[int], placed: Sequence[PlacedPicture], shares: Shares) -> dict[str, RowNumbers]:
    """Return the rows of an ID class by part: those of the folder's split if it has one, else a share of pictures."""
    split_rows = {split: [row for row in rows if placed[row].split == split] for split in SPLIT_ORDER}
    shuffled, start = _shuffled(split_rows["train"] if shares.test is None else rows, placed, shares.seed)
    parts, pictures, first = {}, len(start) - 1, 0
    for part, share in (("test", shares.test), ("validation", shares.validation)):
        if share is None:
            parts[part] = _shuffled(split_rows[part], placed, shares.seed)[0]
        else:
            last = first + round(pictures * share)
            parts[part] = shuffled[start[first] : start[last]]
            first = last
    return {"train": shuffled[start[first] :], **parts}


def _shuffled(rows: Sequence[int], placed: Sequence[PlacedPicture], seed: int) -> tuple[RowNumbers, list[int]]:
    """Return the rows in an order drawn from the seed, copies side by side, and the start of each picture's rows.

    The starts are one longer than the number of pictures: picture i has the rows from start[i] to start[i + 1].
    """
    return shuffled_pictures(rows, [placed[row].picture.content for row in rows], seed)
