"""The `data` section of params.yaml: which images there are, and which image set each of them belongs to."""

import re
from collections.abc import Sequence
from os.path import normpath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.config import Count, Fraction, Section, Seed, nearest_name
from pipeline.images.folder_params import FolderImagesSource, FolderSource, Name
from pipeline.images.limits import Limits

ID_SETS = ("id_train", "id_validation", "id_test")


class DigitsSource(Section):
    """scikit-learn's scanned digits (1,797 images of 8 x 8 pixels), some classes held out as near-OOD."""

    kind: Literal["digits"]
    held_out: tuple[Annotated[int, Field(ge=0, le=9)], ...] = Field(min_length=1, max_length=8)
    validation: Fraction
    test: Fraction
    seed: Seed

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.validation + self.test > 0.9:
            raise ValueError(f"validation {self.validation} and test {self.test} leave less than a tenth for training")
        return self


class PhotographsSource(Section):
    """Random gray square patches of scikit-learn's two photographs, reduced to `pixels` x `pixels`."""

    kind: Literal["photographs"]
    images: Count
    smallest_crop: Count
    largest_crop: Annotated[int, Field(le=400)]  # the photographs are 427 pixels high
    pixels: Count
    seed: Seed

    @model_validator(mode="after")
    def _crops_are_ordered(self) -> Self:
        if self.smallest_crop > self.largest_crop:
            raise ValueError(f"smallest_crop {self.smallest_crop} is above largest_crop {self.largest_crop}")
        return self


class NoiseSource(Section):
    """Gray images of `pixels` x `pixels`, every pixel uniform and independent."""

    kind: Literal["noise"]
    images: Count
    pixels: Count
    seed: Seed


HUB = "hf://"
HUB_FILE = re.compile(rf"{HUB}datasets/(?P<dataset>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?/(?P<path>.+)")
"""A file of a dataset on the Hugging Face hub; without a revision it is the newest one."""


def _whole_address(name: str) -> str:
    if name.startswith(HUB) and not HUB_FILE.fullmatch(name):
        raise ValueError(f"wanted {HUB}datasets/<owner>/<dataset>@<revision>/<path of a Parquet file>")
    return name


File = Annotated[Name, AfterValidator(_whole_address)]
"""A path that starts at the project's root, or a file on the hub as HUB_FILE has it."""


class ParquetSource(Section):
    """Labelled images in two Parquet files, a training and a test file, some classes held out as near-OOD."""

    kind: Literal["parquet"]
    train: File
    """File of the parts 'train' and 'validation'."""
    test: File
    """File of the parts 'test' and 'held_out'."""
    image: Name
    """Column of encoded images: their bytes, or structs with a field `bytes`, as Hugging Face datasets writes them."""
    label: Name
    """Column of integers, indices into `class_names`."""
    class_names: tuple[Name, ...]
    held_out: tuple[str, ...]
    """Names of classes never trained on; may be empty."""
    validation: Fraction
    """Share of each ID class of the training file."""
    limits: Limits
    seed: Seed

    def id_classes(self) -> list[int]:
        """Return the labels of the classes to train on."""
        return [label for label, name in enumerate(self.class_names) if name not in self.held_out]

    def held_out_classes(self) -> list[int]:
        """Return the labels of the classes never trained on."""
        return [label for label, name in enumerate(self.class_names) if name in self.held_out]

    @model_validator(mode="after")
    def _classes_are_told_apart(self) -> Self:
        for field, names in (("class_names", self.class_names), ("held_out", self.held_out)):
            if twice := _first_repeated(names):
                raise ValueError(f"{field} has {twice!r} twice")
        for name in self.held_out:
            if name not in self.class_names:
                raise ValueError(f"held_out has {name!r}; {nearest_name(name, self.class_names)}")
        if (left := len(self.id_classes())) < 2:
            raise ValueError(f"held_out leaves {left} of the class_names, and a classifier needs two")
        return self

    @model_validator(mode="after")
    def _every_class_fits_into_every_part(self) -> Self:
        classes = {"train": self.id_classes(), "validation": self.id_classes(), "test": self.id_classes()}
        for part, labels in {**classes, "held_out": self.held_out_classes()}.items():
            limit = self.limits.model_dump()[part]
            if limit is not None and limit < len(labels):
                raise ValueError(f"limits.{part} {limit} is below one image of each of its {len(labels)} classes")
        return self


class ParquetImagesSource(Section):
    """Images in one Parquet file, all of them OOD; a column of labels is not looked at."""

    kind: Literal["parquet_images"]
    file: File
    image: Name
    """Column of encoded images, as in a `parquet` source."""
    images: Count | None
    """At most so many, drawn at random; null: all of them."""
    seed: Seed


def _first_repeated(names: Sequence[str]) -> str | None:
    return next((name for index, name in enumerate(names) if name in names[:index]), None)


Source = Annotated[
    DigitsSource
    | PhotographsSource
    | NoiseSource
    | ParquetSource
    | ParquetImagesSource
    | FolderSource
    | FolderImagesSource,
    Field(discriminator="kind"),
]
PARTS = {
    "digits": ("train", "validation", "test", "held_out"),
    "photographs": ("all",),
    "noise": ("all",),
    "parquet": ("train", "validation", "test", "held_out"),
    "parquet_images": ("all",),
    "folder": ("train", "validation", "test", "held_out"),
    "folder_images": ("all",),
}


def _files(source: Source) -> dict[str, str]:
    """Return the files or the folder a source reads, each under the name of its parameter."""
    if isinstance(source, ParquetSource):
        return {"train": source.train, "test": source.test}
    if isinstance(source, FolderSource | FolderImagesSource):
        return {"path": source.path}
    return {"file": source.file} if isinstance(source, ParquetImagesSource) else {}


class ImageSetParams(Section):
    """One image set: which part of which source, and what it counts as."""

    group: Literal["id", "near", "far"]
    source: str
    part: str


class DataParams(Section):
    """The images of a run."""

    image_size: Annotated[int, Field(ge=16, multiple_of=8)]
    sources: dict[str, Source]
    sets: dict[str, ImageSetParams]

    @model_validator(mode="after")
    def _sets_are_possible(self) -> Self:
        for name, chosen in self.sets.items():
            where = f"sets.{name}"
            if (chosen.group == "id") != (name in ID_SETS):
                raise ValueError(f"{where}.group: 'id' is for {', '.join(ID_SETS)}, and these are nothing else")
            if chosen.source not in self.sources:
                raise ValueError(f"{where}.source is {chosen.source!r}; {nearest_name(chosen.source, [*self.sources])}")
            source = self.sources[chosen.source]
            parts = PARTS[source.kind]
            if chosen.part not in parts:
                raise ValueError(f"{where}.part is {chosen.part!r}; {nearest_name(chosen.part, parts)}")
            if isinstance(source, ParquetSource | FolderSource) and chosen.part == "held_out" and not source.held_out:
                raise ValueError(f"{where}.part is 'held_out', but sources.{chosen.source}.held_out names no class")
        return self

    @model_validator(mode="after")
    def _id_sets_are_one_split(self) -> Self:
        """Refuse what would score a detector on images it has seen, or on classes it was not taught."""
        if absent := [name for name in ID_SETS if name not in self.sets]:
            raise ValueError(f"sets lacks {', '.join(absent)}")
        source = self.sets[ID_SETS[0]].source
        for name in ID_SETS:
            wanted = (source, name.removeprefix("id_"))
            if (self.sets[name].source, self.sets[name].part) != wanted:
                raise ValueError(f"sets.{name}: wanted source {wanted[0]!r} and part {wanted[1]!r}: one split for all")
        taken: dict[tuple[str, str], str] = {}
        for name, chosen in self.sets.items():
            if (first := taken.setdefault((chosen.source, chosen.part), name)) != name:
                raise ValueError(f"sets.{name} is the same images as sets.{first}")
            if self.sources[chosen.source].kind == "folder" and chosen.source != source:
                advice = "wanted that of the ID sets, or one of kind 'folder_images'"
                raise ValueError(f"sets.{name}.source is {chosen.source!r}, of kind 'folder'; {advice}")
        return self

    @model_validator(mode="after")
    def _no_file_is_read_as_two_things(self) -> Self:
        """Refuse one file under two parameters: rows to train on would be scored as test images or as outliers."""
        taken: dict[str, str] = {}
        for name in sorted({chosen.source for chosen in self.sets.values()}):
            for parameter, file in _files(self.sources[name]).items():
                where = f"sources.{name}.{parameter}"
                if (first := taken.setdefault(normpath(file), where)) != where:
                    raise ValueError(f"{where} is the same file as {first}: {file}")
        for inner, where in taken.items():
            for outer, first in taken.items():
                if inner.startswith(f"{outer}/") or (outer == "." and inner != outer):
                    raise ValueError(f"{where} {inner} is inside {first} {outer}; keep them apart")
        return self

    def provenance(self, name: str) -> dict[str, Any]:
        """Return what says which images a set is, and in which order: its source's parameters and its part."""
        chosen = self.sets[name]
        return {"source": self.sources[chosen.source].model_dump(mode="json"), "part": chosen.part}

    def ood_sets(self) -> dict[str, Literal["near", "far"]]:
        """Return the group of every OOD set, in the order of the file."""
        return {name: chosen.group for name, chosen in self.sets.items() if chosen.group != "id"}
