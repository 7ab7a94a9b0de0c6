"""The sources of params.yaml that are tables of encoded images: Parquet files, and what Hugging Face datasets opens."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from pipeline.config import Count, Fraction, Name, Section, Seed, nearest_name
from pipeline.images.limits import Limits

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def _commit(revision: str) -> str:
    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise ValueError("wanted a commit of 40 hexadecimal digits: a branch or a tag may move")
    return revision


Commit = Annotated[str, AfterValidator(_commit)]


class LabelledTable(Section):
    """Labelled images in two tables, one for training and one for testing, some classes held out as near-OOD."""

    train: Name
    """Table of the parts 'train' and 'validation': a file, or a split of a dataset."""
    test: Name
    """Table of the parts 'test' and 'held_out'."""
    image: Name
    """Column of encoded images: their bytes, or structs with a field `bytes`, as Hugging Face datasets writes them."""
    label: Name
    """Column of integers, indices into `class_names`."""
    class_names: tuple[Name, ...]
    held_out: tuple[str, ...]
    """Names of classes never trained on; may be empty."""
    validation: Fraction
    """Share of each ID class of the training table."""
    limits: Limits
    seed: Seed

    def table_of(self, part: str) -> str:
        """Return which of the two tables has the images of a part."""
        return self.train if part in ("train", "validation") else self.test

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


class TableImages(Section):
    """Images in one table, all of them OOD; a column of labels is not looked at."""

    image: Name
    """Column of encoded images, as in a labelled table."""
    images: Count | None
    """At most so many, drawn at random; null: all of them."""
    seed: Seed


class DatasetAddress(Section):
    """A dataset that the library `datasets` opens: a folder here, or a commit of a repository on the hub."""

    dataset: Name
    """Path of the folder from the project's root or, with `revision`, an id on the hub: owner/name."""
    config: Name | None
    """Name of its configuration; null: the only one, or its default. On the hub it is always named."""
    revision: Commit | None
    """A commit on the hub; null: a folder here, and the hub is never asked."""

    @model_validator(mode="after")
    def _the_hub_is_told_exactly(self) -> Self:
        if self.revision is not None and not HUB_ID.fullmatch(self.dataset):
            raise ValueError(f"dataset is {self.dataset!r}: on the hub, where `revision` says it is, wanted owner/name")
        if self.revision is not None and self.config is None:
            raise ValueError("config is null: on the hub, wanted its name ('default' where a dataset gives it none)")
        return self


class ParquetSource(LabelledTable):
    """Labelled images in two Parquet files, by their paths from the project's root."""

    kind: Literal["parquet"]


class ParquetImagesSource(TableImages):
    """OOD images in one Parquet file."""

    kind: Literal["parquet_images"]
    file: Name


class DatasetSource(DatasetAddress, LabelledTable):
    """Labelled images in two splits of a dataset."""

    kind: Literal["dataset"]


class DatasetImagesSource(DatasetAddress, TableImages):
    """OOD images in one split of a dataset."""

    kind: Literal["dataset_images"]
    split: Name | None
    """null: the dataset was saved by itself, without splits."""


def _first_repeated(names: Sequence[str]) -> str | None:
    return next((name for index, name in enumerate(names) if name in names[:index]), None)
