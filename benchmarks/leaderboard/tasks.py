"""The tasks: benchmarks, each with its ways to hold classes out, and the parameters of each as a project.

Final tasks are what results are told of. Development tasks are what settings may be chosen on: they hold out other
pairs of classes, and their far set is drawn by a program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from benchmarks.leaderboard.tables import DIGITS, DRAWN, Table
from pipeline.commands.compose import preset_text
from pipeline.schema.text import dump_yaml, load_yaml

WORK = Path(".work/leaderboard")
CACHE = WORK / "cache"
"""DVC's cache, of all tasks."""
EXPOSURE = "exposure"
"""Image set of real outliers, which one method is trained on; never scored."""
EXPOSURE_IMAGES = 5000
PRESETS = {name: name for name in ("digits", "fashion_mnist", "cifar10_layer3", "cifar10_layer2")}
"""Preset of each benchmark: what images it is of, and everything that is trained."""
NO_CLASS: tuple[tuple[str, ...], ...] = ((),)
FINAL: dict[str, tuple[tuple[str, ...], ...]] = {
    "digits": (("8", "9"), ("2", "5"), ("3", "7")),
    "fashion_mnist": (
        ("T - shirt / top", "Bag"),
        ("Trouser", "Sandal"),
        ("Pullover", "Ankle boot"),
        ("Dress", "Shirt"),
        ("Coat", "Sneaker"),
    ),
    "cifar10_layer3": NO_CLASS,
    "cifar10_layer2": NO_CLASS,
}
DEVELOPMENT: dict[str, tuple[tuple[str, ...], ...]] = {
    "digits": (("1", "6"), ("0", "4"), ("1", "4"), ("0", "6")),
    "fashion_mnist": (
        ("T - shirt / top", "Sneaker"),
        ("Dress", "Coat"),
        ("T - shirt / top", "Coat"),
        ("Sneaker", "Dress"),
        ("Bag", "Ankle boot"),
        ("Trouser", "Pullover"),
        ("Sandal", "Shirt"),
    ),
    "cifar10_layer3": NO_CLASS,
    "cifar10_layer2": NO_CLASS,
}
"""The encoder of CIFAR-10 has seen all of its classes, so that none can be held out. Development tasks have other near
images there."""
CIFAR10, CIFAR10_TEST, RESNET56 = (
    "data/cifar10/train.parquet",
    "data/cifar10/test.parquet",
    "data/cifar10/resnet56.onnx",
)
FASHION_MNIST, FASHION_MNIST_TEST = "data/fashion_mnist/train.parquet", "data/fashion_mnist/test.parquet"
MNIST, TINY_IMAGENET = "data/mnist/test.parquet", "data/tiny_imagenet/openood.parquet"
CIFAR100, TEXTURES = "data/cifar100/test.parquet", "data/textures/dtd10.parquet"
NOT_IN_OPENOOD = "data/cifar100/not_in_openood.txt"
"""Paths of the 1,000 images of CIFAR-100 that OpenOOD's near set lacks, a line each."""


@dataclass(frozen=True)
class Images:
    """What a benchmark reads beside what its preset does."""

    files: tuple[str, ...]
    """Files that have to be there."""
    own: Mapping[str, str]
    """The OOD sets of its preset that final tasks are judged by, and their groups."""
    exposure: Table
    development_far: Table
    near: tuple[Table, ...] = ()
    """Tables made for near sets, by their names."""
    far: tuple[Table, ...] = ()
    development_near: tuple[Table, ...] = ()
    development_exposure: Table | None = None
    """None: the same as of final tasks."""


CIFAR10_IMAGES = Images(
    files=(
        CIFAR10,
        CIFAR10_TEST,
        RESNET56,
        CIFAR100,
        NOT_IN_OPENOOD,
        TINY_IMAGENET,
        MNIST,
        TEXTURES,
        FASHION_MNIST_TEST,
    ),
    own={"tiny_imagenet": "near", "mnist": "far"},
    exposure=Table("cifar100_not_in_openood", CIFAR100, only=NOT_IN_OPENOOD),
    near=(Table("cifar100", CIFAR100, left_out=NOT_IN_OPENOOD),),
    far=(Table("textures", TEXTURES),),
    development_near=(Table("cifar100_not_in_openood", CIFAR100, only=NOT_IN_OPENOOD),),
    development_far=Table("drawn", DRAWN, images=1000),
    development_exposure=Table("fashion_mnist", FASHION_MNIST_TEST, images=1000),
)
IMAGES = {
    "digits": Images(
        files=(FASHION_MNIST_TEST, CIFAR10),
        own={"photographs": "far", "noise": "far"},
        exposure=Table("cifar10", CIFAR10, images=EXPOSURE_IMAGES, gray_pixels=8),
        far=(Table("fashion_mnist", FASHION_MNIST_TEST, images=1000, gray_pixels=8),),
        development_far=Table("drawn", DRAWN, images=1000, gray_pixels=8),
    ),
    "fashion_mnist": Images(
        files=(FASHION_MNIST, FASHION_MNIST_TEST, MNIST, CIFAR10),
        own={"noise": "far"},
        exposure=Table("cifar10", CIFAR10, images=EXPOSURE_IMAGES, gray_pixels=28),
        far=(Table("mnist", MNIST, images=1000), Table("digits", DIGITS)),
        development_far=Table("drawn", DRAWN, images=1000, gray_pixels=28),
    ),
    "cifar10_layer3": CIFAR10_IMAGES,
    "cifar10_layer2": CIFAR10_IMAGES,
}


@dataclass(frozen=True)
class Task:
    """A benchmark with some of its classes held out."""

    benchmark: str
    held_out: tuple[str, ...]
    development: bool

    @property
    def name(self) -> str:
        """What its folder is called."""
        kind = ("development",) if self.development else ()
        words = " ".join((self.benchmark, *kind, *self.held_out)).lower()
        return "-".join("".join(sign if sign.isalnum() or sign == "_" else " " for sign in words).split())

    @property
    def folder(self) -> Path:
        """Its project."""
        return WORK / self.name

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of images that are made for it."""
        return (self.exposure, *self.near, *self.far)

    @property
    def exposure(self) -> Table:
        """The real outliers that one method is trained on."""
        images = IMAGES[self.benchmark]
        return (images.development_exposure if self.development else None) or images.exposure

    @property
    def near(self) -> tuple[Table, ...]:
        """The tables that are near sets."""
        images = IMAGES[self.benchmark]
        return images.development_near if self.development else images.near

    @property
    def far(self) -> tuple[Table, ...]:
        """Those that are far sets."""
        images = IMAGES[self.benchmark]
        return (images.development_far,) if self.development else images.far


def tasks(benchmark: str, *, development: bool) -> list[Task]:
    """Return the tasks of a benchmark."""
    return [Task(benchmark, held_out, development) for held_out in (DEVELOPMENT if development else FINAL)[benchmark]]


def preset(benchmark: str) -> CommentedMap:
    """Return the parameters that the tasks of a benchmark start from."""
    return load_yaml(preset_text(Path(f"presets/{PRESETS[benchmark]}.yaml")))


def default_methods(benchmark: str) -> tuple[str, ...]:
    """Return the synthesis methods whose outliers our default is trained on."""
    return tuple(preset(benchmark)["synthesize"]["methods"])


def parameters(task: Task, seeds: int, methods: Sequence[str]) -> str:
    """Return a task's params.yaml: the preset, with these classes held out and these outliers synthesized."""
    content = preset(task.benchmark)
    content["seeds"] = list(range(seeds))
    content["synthesize"]["methods"] = list(methods)
    data = content["data"]
    _known(data, task)
    near_and_far = _ood(data["sources"], task)
    data["sets"] = {name: dict(data["sets"][name]) for name in ("id_train", "id_validation", "id_test")}
    if task.held_out:
        known = data["sets"]["id_test"]["source"]
        data["sets"]["held_out"] = {"group": "near", "source": known, "part": "held_out"}
    near_and_far[EXPOSURE] = "far"
    data["sources"][EXPOSURE] = task.exposure.source()
    for name, group in near_and_far.items():
        data["sets"][name] = {"group": group, "source": name, "part": "all"}
    used = {chosen["source"] for chosen in data["sets"].values()}
    data["sources"] = {name: dict(source) for name, source in data["sources"].items() if name in used}
    return dump_yaml(content)


def _known(data: dict[str, Any], task: Task) -> None:
    """Hold the task's classes out, and take local files where the preset names the hub."""
    source = data["sources"][data["sets"]["id_train"]["source"]]
    if source["kind"] == "digits":
        source["held_out"] = [int(digit) for digit in task.held_out]
        return
    source["held_out"] = list(task.held_out)
    if source["kind"] == "dataset":
        for name in ("dataset", "config", "revision"):
            del source[name]
        source |= {"kind": "parquet", "train": FASHION_MNIST, "test": FASHION_MNIST_TEST}
    if task.held_out:
        source["limits"]["held_out"] = 1000


def _ood(sources: dict[str, Any], task: Task) -> dict[str, str]:
    """Add the sources of a task's OOD sets that are not held-out classes; return the group of each set."""
    groups = {}
    for group, tables in (("near", task.near), ("far", task.far)):
        for table in tables:
            sources[table.name] = table.source()
            groups[table.name] = group
    return groups if task.development else groups | dict(IMAGES[task.benchmark].own)
