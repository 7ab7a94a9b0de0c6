"""Folders of photographs as a user has them, written from Parquet files: known classes, near, far and foreign images.

Final folders are what results are told of. Development folders are what settings may be chosen on: they hold out other
classes, and no image of theirs is a near, far or foreign image of a final folder.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import json_bytes, whole_or_absent, write_json

WORK = Path(".work/photographs")
SPECIFICATION = "drawn.json"
"""Beside the images: what they were drawn by."""
KINDS = ("id", "near", "far", "foreign")
"""The folders in a folder. Foreign images are shown to `predict` only."""
SEED = 0


@dataclass(frozen=True)
class Draw:
    """Images of a Parquet file, drawn at random."""

    file: str
    classes: tuple[str, ...] | None = None
    """None: of all rows together, whatever they show."""
    images: int | None = None
    """Of each class, or of all rows together; None: all that there are."""
    skipped: int = 0
    """As many that would be drawn first are left to other draws of the same file."""


@dataclass(frozen=True)
class Photographs:
    """A folder of labelled photographs, and images that show none of its classes."""

    name: str
    title: str
    pixels: int
    """Side at which networks of pixels see it: the shorter sides of its images are not smaller."""
    id: Draw
    near: Draw
    far: Draw
    foreign: Draw
    development: bool = False

    @property
    def folder(self) -> Path:
        """Where its images and all that is made from them lie."""
        return WORK / ("development" if self.development else "final") / self.name

    @property
    def images(self) -> Path:
        """Where its images lie, a folder for each of KINDS."""
        return self.folder / "images"

    def specification(self) -> dict[str, Any]:
        """Return what its images follow from."""
        return {"seed": SEED, **{kind: asdict(getattr(self, kind)) for kind in KINDS}}


DTD, CIFAR10 = "dtd10_128.parquet", "cifar10_train.parquet"
CIFAR10_TEST, CIFAR100 = "cifar10_test.parquet", "cifar100_test.parquet"
ANTS_BEES, TINY_IMAGENET = "ants_bees_128.parquet", "tiny_imagenet_openood_cifar10.parquet"
TEXTURES = (
    "banded", "blotchy", "braided", "bubbly", "bumpy", "chequered", "cobwebbed", "cracked", "crosshatched",
    "crystalline",
)  # fmt: skip
OBJECTS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
THINGS = (
    "bottle", "bowl", "can", "chair", "clock", "couch", "cup", "keyboard", "lamp", "plate", "table", "telephone",
    "television", "wardrobe", "bed",
)  # fmt: skip
OUTDOORS = (
    "bridge", "castle", "cloud", "forest", "house", "mountain", "plain", "road", "sea", "skyscraper", "apple", "orange",
    "orchid", "rose", "tulip",
)  # fmt: skip
CREATURES_AND_MACHINES = (
    "bear", "leopard", "lion", "lawn_mower", "rocket", "streetcar", "bee", "beetle", "butterfly", "aquarium_fish",
    "flatfish", "ray",
)  # fmt: skip
THEIR_SIBLINGS = ("tiger", "wolf", "tank", "tractor", "caterpillar", "cockroach", "shark", "trout")
"""The other classes of the same superclasses of CIFAR-100."""
PEOPLE_AND_TREES = (
    "baby", "boy", "girl", "man", "woman", "maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree",
)  # fmt: skip
SWIMMERS_AND_WHEELS = (
    "beaver", "dolphin", "otter", "bicycle", "bus", "motorcycle", "orchid", "poppy", "rose", "crocodile", "dinosaur",
    "lizard",
)  # fmt: skip
OTHER_SIBLINGS = ("seal", "whale", "pickup_truck", "train", "sunflower", "tulip", "snake", "turtle")
SMALL_ANIMALS_AND_FRUIT = (
    "hamster", "mouse", "rabbit", "shrew", "squirrel", "apple", "mushroom", "orange", "pear", "sweet_pepper",
)  # fmt: skip


def _without(names: Sequence[str], *held_out: str) -> tuple[str, ...]:
    return tuple(name for name in names if name not in held_out)


FINAL = (
    Photographs(
        name="textures",
        title="Textures",
        pixels=64,
        id=Draw(DTD, _without(TEXTURES, "bubbly", "crosshatched")),
        near=Draw(DTD, ("bubbly", "crosshatched")),
        far=Draw(ANTS_BEES, images=300),
        foreign=Draw(TINY_IMAGENET, images=100),
    ),
    Photographs(
        name="cifar",
        title="CIFAR-10, 300 images a class",
        pixels=32,
        id=Draw(CIFAR10, _without(OBJECTS, "deer", "truck"), images=300),
        near=Draw(CIFAR10_TEST, ("deer", "truck")),
        far=Draw(CIFAR100, THINGS),
        foreign=Draw(TINY_IMAGENET, images=100),
    ),
    Photographs(
        name="cifar100",
        title="CIFAR-100, 12 classes of 100 images",
        pixels=32,
        id=Draw(CIFAR100, CREATURES_AND_MACHINES),
        near=Draw(CIFAR100, THEIR_SIBLINGS),
        far=Draw(CIFAR100, PEOPLE_AND_TREES),
        foreign=Draw(TINY_IMAGENET, images=100),
    ),
)
DEVELOPMENT = (
    Photographs(
        name="textures",
        title="Textures",
        pixels=64,
        id=Draw(DTD, _without(TEXTURES, "bubbly", "crosshatched", "blotchy", "chequered")),
        near=Draw(DTD, ("blotchy", "chequered")),
        far=Draw(TINY_IMAGENET, images=300, skipped=1000),
        foreign=Draw(TINY_IMAGENET, images=100, skipped=2000),
        development=True,
    ),
    Photographs(
        name="cifar",
        title="CIFAR-10, 300 images a class",
        pixels=32,
        id=Draw(CIFAR10, _without(OBJECTS, "deer", "truck", "cat", "ship"), images=300, skipped=1000),
        near=Draw(CIFAR10_TEST, ("cat", "ship")),
        far=Draw(CIFAR100, OUTDOORS),
        foreign=Draw(TINY_IMAGENET, images=100, skipped=2000),
        development=True,
    ),
    Photographs(
        name="cifar100",
        title="CIFAR-100, 12 classes of 100 images",
        pixels=32,
        id=Draw(CIFAR100, SWIMMERS_AND_WHEELS),
        near=Draw(CIFAR100, OTHER_SIBLINGS),
        far=Draw(CIFAR100, SMALL_ANIMALS_AND_FRUIT),
        foreign=Draw(TINY_IMAGENET, images=100, skipped=2000),
        development=True,
    ),
)


def write_images(photographs: Photographs, datasets: Path) -> None:
    """Write the images of a folder as they are encoded in the Parquet files, unless they are there.

    Raises PipelineError where a Parquet file is missing or lacks a class or images.
    """
    target, wanted = photographs.images, photographs.specification()
    file = target / SPECIFICATION
    if file.is_file() and file.read_bytes() == json_bytes(wanted):
        return
    shutil.rmtree(target, ignore_errors=True)
    with whole_or_absent(target) as unfinished:
        for kind in KINDS:
            for name, encoded in drawn(getattr(photographs, kind), datasets, by_class=kind == "id"):
                file = unfinished / kind / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encoded)
        write_json(unfinished / SPECIFICATION, wanted)


def drawn(draw: Draw, datasets: Path, *, by_class: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the path of each image of a draw, with a folder for its class if `by_class`, and its encoded bytes.

    Rows of a class are taken in the order of one random permutation of the file, so that two draws of the same file
    share no image where one begins after the other.
    """
    table, names = _read(datasets / draw.file)
    labels = np.array(table["label"])
    order = np.random.default_rng(SEED).permutation(len(labels))
    for name in draw.classes or (None,):
        if name is not None and name not in names:
            raise PipelineError(f"{datasets / draw.file}: found no class {name!r}, wanted it; it has {sorted(names)}.")
        rows = order if name is None else order[labels[order] == names[name]]
        end = None if draw.images is None else draw.skipped + draw.images
        if len(rows) < (end or 1):
            found = f"{len(rows)} images of {name or 'all classes'}"
            raise PipelineError(f"{datasets / draw.file}: found {found}, wanted {end or 1} or more.")
        for row in rows[draw.skipped : end].tolist():
            image = table["image"][row]
            suffix = PurePosixPath(image["path"]).suffix.lower()
            yield f"{f'{name}/' if by_class else ''}{row:05}{suffix}", image["bytes"]


@cache
def _read(file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the columns of a Parquet file as lists, and the label of each class that its metadata name."""
    if not file.is_file():
        advice = "name the folder of the Parquet files by --datasets"
        raise PipelineError(f"{file}: not found, wanted a Parquet file of labelled images; {advice}.")
    table = pq.read_table(file)
    return table.to_pydict(), {name: label for label, name in enumerate(_class_names(table))}


def _class_names(table: Any) -> list[str]:
    metadata = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    names: list[str] = metadata.get("info", {}).get("features", {}).get("label", {}).get("names", [])
    return names
