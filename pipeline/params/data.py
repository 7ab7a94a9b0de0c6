"""The `data` section of params.yaml: which images there are, and which image set each of them belongs to."""

import os
from itertools import permutations
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from pipeline.images.image_set import ImageSet
from pipeline.images.sources.base import ImageLocation
from pipeline.images.sources.dataset import DatasetImagesSource, DatasetSource
from pipeline.images.sources.digits import DigitsSource
from pipeline.images.sources.folder import FolderImagesSource, FolderSource
from pipeline.images.sources.noise import NoiseSource
from pipeline.images.sources.parquet import ParquetImagesSource, ParquetSource
from pipeline.images.sources.photographs import PhotographsSource
from pipeline.params.sets import ID_SETS, ImageSets
from pipeline.schema.section import PlainName
from pipeline.schema.spelling import nearest_name

STAGES_WRITE = ("data/latents", "data/outliers", "data/probes", "data/rival", "data/scores", "data/views")
"""Folders whose content is replaced and deleted by stages, and by DVC before it runs them."""

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
"""A new source of images joins this list; all else about it is in its own class."""


class DataParams(ImageSets):
    """The images of a run."""

    model_config = ConfigDict(extra="forbid")

    image_size: Annotated[int, Field(ge=16, multiple_of=8)]
    sources: dict[PlainName, Source]

    @model_validator(mode="after")
    def _sets_are_possible(self) -> Self:
        for name, chosen in self.sets.items():
            where = f"sets.{name}"
            if (chosen.group == "id") != (name in ID_SETS):
                raise ValueError(f"{where}.group: 'id' is for {', '.join(ID_SETS)}, and these are nothing else")
            if chosen.source not in self.sources:
                raise ValueError(f"{where}.source is {chosen.source!r}; {nearest_name(chosen.source, [*self.sources])}")
            source = self.sources[chosen.source]
            parts = source.parts()
            if chosen.part not in parts:
                raise ValueError(f"{where}.part is {chosen.part!r}; {nearest_name(chosen.part, parts)}")
            if chosen.part == "held_out" and not getattr(source, "held_out", None):
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
            kind = self.sources[chosen.source].kind
            if self.sources[chosen.source].has_one_split and chosen.source != source:
                advice = "wanted that of the ID sets, or one of kind 'folder_images'"
                raise ValueError(f"sets.{name}.source is {chosen.source!r}, of kind {kind!r}; {advice}")
        return self

    @model_validator(mode="after")
    def _no_file_is_read_as_two_things(self) -> Self:
        """Refuse one file under two parameters: rows to train on would be scored as test images or as outliers."""
        taken: list[tuple[ImageLocation, str]] = []
        for name in sorted({chosen.source for chosen in self.sets.values()}):
            for parameter, location in self.sources[name].locations().items():
                where = f"sources.{name}.{parameter}"
                for other, first in taken:
                    if location.resolved().overlaps(other.resolved()):
                        raise ValueError(f"{where} is the same images as {first}: {_on_disk(location)}")
                taken.append((location, where))
        for (inner, where), (outer, first) in permutations(taken, 2):
            if inner.resolved().is_inside(outer.resolved()):
                raise ValueError(f"{where} {_on_disk(inner)} is inside {first} {_on_disk(outer)}; keep them apart")
        return self

    @model_validator(mode="after")
    def _no_stage_writes_among_the_images(self) -> Self:
        for name, source in self.sources.items():
            for parameter, location in source.locations().items():
                for folder in map(ImageLocation, STAGES_WRITE):
                    on_disk, outputs = location.resolved(), folder.resolved()
                    if on_disk.path == outputs.path or on_disk.is_inside(outputs):
                        where = f"sources.{name}.{parameter} is {_on_disk(location)}"
                        advice = "move it, or the link, to data/images"
                        raise ValueError(f"{where}, and stages write and delete in {folder}; {advice}")
        return self

    def provenance(self, name: str) -> dict[str, Any]:
        """Return what says which images a set is, and in which order: its source's parameters and its part."""
        chosen = self.sets[name]
        return {"source": self.sources[chosen.source].model_dump(mode="json"), "part": chosen.part}

    def open(self, name: str) -> ImageSet:
        """Return the image set called `name`; raises ImageFileError when its images are not what is said of them."""
        chosen = self.sets[name]
        return self.sources[chosen.source].open(chosen.part)


def _on_disk(location: ImageLocation) -> str:
    """Return a location as text, with the path that its links lead to where that is another."""
    path = location.resolved().path
    is_linked = not location.is_on_hub and path != os.path.abspath(location.path)  # noqa: PTH100  # follows no link
    return f"{location} ({path})" if is_linked else str(location)
