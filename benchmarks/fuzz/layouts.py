"""Readers of folders of images: trees with odd names, links, empty files and things that are no files."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fuzz.broken import Random, mutated
from benchmarks.fuzz.documents import small_images, unlike_picture
from benchmarks.fuzz.run import Reader
from pipeline.commands.photo_folders import PARTS, ImageFolders, open_ood_folders, open_photos
from pipeline.detector.listing import PassedOver, count_images, image_files
from pipeline.images.image_set import ImageSet
from pipeline.images.sources.folder import FolderSource
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import WORK
from pipeline.schema.reader import validate

FOLDERS = (
    "train", "Training", "val", "valid", "Testing", "test", "dev", "cat", "dog", "owl", "cafe\u0301", "caf\u00e9",
    "[red]fox", "$x_$", "a\nb", "=1+1", " ", "...", "..a", ".git", "@eaDir", "__MACOSX", "labels", "annotations",
    "x" * 250, "\udcff\udcfe", "\u202eabc", "-rf", "a'b\"c", "CON", "\\", "%s", "{0}", "кот", "猫",
)  # fmt: skip
FILES = (
    "0.png", "1.PNG", "a.jpg", "b", "c.heic", "d.txt", "Thumbs.db", "._0.png", "e\r.png", "[/b].png", "f.png.partial",
    "\udcff.png", "g.jfif", "h" * 240 + ".png", "=1+1.png", "k.tiff",
)  # fmt: skip
PLAIN = ("cat", "dog", "owl")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
MOST_ENTRIES = 24


class Link(NamedTuple):
    """A link in a tree."""

    target: str


class Pipe:
    """A named pipe in a tree."""


Tree = dict[str, bytes | Link | Pipe | None]
"""By path: the content of a file, or something else; None is an empty folder."""


def layout_readers(folder: Path, template: dict[str, Any]) -> Iterator[Reader]:
    """Yield the readers; trees are written below `folder`. template: the parameters of a source of photographs."""
    images, place = small_images(), folder / "tree"

    def photos(tree: Tree) -> None:
        _write(place, tree)
        _read_photos(place, template)

    def listed(tree: Tree) -> object:
        _write(place, tree)
        count = count_images([place], passed_over := PassedOver())
        assert count == sum(1 for _ in image_files([place], passed_over))
        opened = open_ood_folders(ImageFolders(place, near=[place]), template).values()
        return [folder.images.read(0) for folder in opened]

    ours = (PipelineError,)
    yield Reader("folder of classes", lambda rng: _tree(rng, images), photos, ours, 1)
    yield Reader("folder of OOD images", lambda rng: _tree(rng, images), listed, ours, 2)


def _read_photos(place: Path, template: dict[str, Any]) -> None:
    """Open a folder as `new-project` does and with every kind of split, and read its first images."""
    problems = []
    expectations: list[dict[str, Any]] = [{"test": None}, {"test": None, "validation": None}, {}]
    readers: list[Callable[[], Mapping[str, ImageSet]]] = [
        lambda: open_photos(place, template, leave_out_small=True).parts,
        *(partial(_parts, place, template | changes) for changes in expectations),
    ]
    for read in readers:
        try:
            for image_set in read().values():
                image_set.read(len(image_set) - 1)
        except PipelineError as error:
            problems.append(error)
    if len(problems) == len(readers):
        raise problems[0]


def _parts(place: Path, source: dict[str, Any]) -> dict[str, ImageSet]:
    """Return every part of a source of photographs."""
    changes = {"path": str(place), "held_out": ["owl"], "on_bad_image": "fail"}
    checked = validate(place, FolderSource, source | changes)
    return {part: checked.open(part) for part in (*PARTS, "held_out")}


def _tree(rng: Random, images: list[bytes]) -> Tree:
    """Return a tree: sometimes a good one with some odd entries, sometimes odd entries alone."""
    tree: Tree = {}
    good = rng.random()
    if good < 0.7:
        for top in [("train/", "test/"), ("Training/", "val/"), ("",), ("train/", "val/", "test/")][rng.integers(4)]:
            tree |= {f"{top}{name}/{number}.png": unlike_picture(rng) for name in PLAIN for number in range(6)}
    for _ in range(rng.integers(MOST_ENTRIES if good > 0.7 else 6)):
        parts = [FOLDERS[rng.integers(len(FOLDERS))] for _ in range(rng.integers(4))]
        name = FILES[rng.integers(len(FILES))] if rng.random() < 0.85 else FOLDERS[rng.integers(len(FOLDERS))]
        tree["/".join([*parts, name])] = _entry(rng, images, list(tree))
    return tree


def _entry(rng: Random, images: list[bytes], names: list[str]) -> bytes | Link | Pipe | None:
    targets = ["/etc/hostname", ".", "..", "no such file", "/dev/zero", "/", *names[:3]]
    content = images[rng.integers(len(images))]
    odd = (None, b"", Pipe(), Link(targets[rng.integers(len(targets))]), mutated(rng, content), POINTER)
    return odd[rng.integers(len(odd))] if rng.random() < 0.5 else content


def _write(place: Path, tree: Tree) -> None:
    """Write a tree in place of another; what the file system refuses is left out. Caches of scans go too."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(WORK, ignore_errors=True)
    place.mkdir()
    for name, content in tree.items():
        path = place / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            match content:
                case None:
                    path.mkdir()
                case Link():
                    path.symlink_to(content.target)
                case Pipe():
                    os.mkfifo(path)
                case _ if not path.is_symlink():
                    path.write_bytes(content)
        except OSError:
            continue
