"""The `data` section of params.yaml: which images there are, and which image set each of them belongs to."""

from itertools import permutations
from os.path import normpath
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from pipeline.config import Count, Fraction, PlainName, Section, Seed, nearest_name
from pipeline.images.folder_params import FolderImagesSource, FolderSource
from pipeline.images.table_params import (
    DatasetImagesSource,
    DatasetSource,
    LabelledTable,
    ParquetImagesSource,
    ParquetSource,
)

ID_SETS = ("id_train", "id_validation", "id_test")
STAGES_WRITE = ("data/latents", "data/outliers", "data/probes", "data/scores")
"""Folders whose content is replaced and deleted by stages, and by DVC before it runs them."""


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


Source = Annotated[
    DigitsSource
    | PhotographsSource
    | NoiseSource
    | ParquetSource
    | ParquetImagesSource
    | DatasetSource
    | DatasetImagesSource
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
    "dataset": ("train", "validation", "test", "held_out"),
    "dataset_images": ("all",),
    "folder": ("train", "validation", "test", "held_out"),
    "folder_images": ("all",),
}


class _Place(NamedTuple):
    """Where images are: a file or folder or, with an @ in front, an id on the hub; and in which table there."""

    path: str
    table: tuple[str | None, ...] = ()  # config, commit and split of a dataset; empty: all of the path

    def holds(self, other: "_Place") -> bool:
        """Return whether images of `other` are among those of this one."""
        return self.path == other.path and (self.table == other.table or () in (self.table, other.table))

    def is_inside(self, other: "_Place") -> bool:
        """Return whether this is a path below another one."""
        everything = other.path == "." and self.path != "." and not self.path.startswith("@")
        return everything or self.path.startswith(f"{other.path}/")

    def __str__(self) -> str:
        """Return the place as errors name it."""
        return ", ".join((self.path, *filter(None, self.table)))


def _places(source: Source) -> dict[str, _Place]:
    """Return where a source reads images, each under the name of its parameter."""
    if isinstance(source, ParquetSource):
        return {"train": _Place(normpath(source.train)), "test": _Place(normpath(source.test))}
    if isinstance(source, ParquetImagesSource):
        return {"file": _Place(normpath(source.file))}
    if isinstance(source, FolderSource | FolderImagesSource):
        return {"path": _Place(normpath(source.path))}
    if isinstance(source, DatasetSource | DatasetImagesSource):
        names = ("train", "test") if isinstance(source, DatasetSource) else ("split",)
        path = normpath(source.dataset) if source.revision is None else f"@{source.dataset}"
        return {name: _Place(path, (source.config, source.revision, getattr(source, name))) for name in names}
    return {}


class ImageSetParams(Section):
    """One image set: which part of which source, and what it counts as."""

    group: Literal["id", "near", "far"]
    source: str
    part: str


class DataParams(Section):
    """The images of a run."""

    image_size: Annotated[int, Field(ge=16, multiple_of=8)]
    sources: dict[PlainName, Source]
    sets: dict[PlainName, ImageSetParams]

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
            if isinstance(source, LabelledTable | FolderSource) and chosen.part == "held_out" and not source.held_out:
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
        taken: list[tuple[_Place, str]] = []
        for name in sorted({chosen.source for chosen in self.sets.values()}):
            for parameter, place in _places(self.sources[name]).items():
                where = f"sources.{name}.{parameter}"
                for other, first in taken:
                    if place.holds(other):
                        raise ValueError(f"{where} is the same images as {first}: {place}")
                taken.append((place, where))
        for (inner, where), (outer, first) in permutations(taken, 2):
            if inner.is_inside(outer):
                raise ValueError(f"{where} {inner} is inside {first} {outer}; keep them apart")
        return self

    @model_validator(mode="after")
    def _no_stage_writes_among_the_images(self) -> Self:
        for name, source in self.sources.items():
            for parameter, place in _places(source).items():
                for folder in map(_Place, STAGES_WRITE):
                    if place.path == folder.path or place.is_inside(folder):
                        where = f"sources.{name}.{parameter} is {place.path}, and stages write and delete in {folder}"
                        raise ValueError(f"{where}; move it, or the link, to data/images")
        return self

    def provenance(self, name: str) -> dict[str, Any]:
        """Return what says which images a set is, and in which order: its source's parameters and its part."""
        chosen = self.sets[name]
        return {"source": self.sources[chosen.source].model_dump(mode="json"), "part": chosen.part}

    def ood_sets(self) -> dict[str, Literal["near", "far"]]:
        """Return the group of every OOD set, in the order of the file."""
        return {name: chosen.group for name, chosen in self.sets.items() if chosen.group != "id"}
