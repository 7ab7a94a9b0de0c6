"""The interface of every source of images: its parts, its locations on disk, and how to open a part."""

import os
from abc import abstractmethod
from pathlib import PurePath
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from pipeline.images.decode import MOST_PIXELS
from pipeline.images.image_set import ImageSet
from pipeline.schema.section import Count, Section

LABELLED_PARTS = ("train", "validation", "test", "held_out")
ALL = ("all",)
"""The only part of a source without labels."""
Pixels = Annotated[int, Field(ge=1, le=MOST_PIXELS)]
OnBadImage = Literal["fail", "skip"]
"""What happens with unusable files or rows: an error names them, or they are skipped, counted and listed."""


class Limits(Section):
    """The largest number of images of each part, in proportion to its classes; null: all images."""

    train: Count | None
    validation: Count | None
    test: Count | None
    held_out: Count | None


class ImageLocation(NamedTuple):
    """The path of images and the table there: a file or folder, or an id on the hub with an @ in front."""

    path: str
    table: tuple[str | None, ...] = ()  # config, commit and split of a dataset; empty: everything at the path

    def overlaps(self, other: "ImageLocation") -> bool:
        """Return whether both have images in common: they are the same table, or a table and its whole path."""
        return self.path == other.path and (self.table == other.table or () in (self.table, other.table))

    def is_inside(self, other: "ImageLocation") -> bool:
        """Return whether this is a path below `other`."""
        return self.path != other.path and not self.is_on_hub and PurePath(self.path).is_relative_to(other.path)

    @property
    def is_on_hub(self) -> bool:
        """Whether the images are on the hub."""
        return self.path.startswith("@")

    def resolved(self) -> "ImageLocation":
        """Return the location with all links followed, so that two names of one folder are equal."""
        return self if self.is_on_hub else self._replace(path=os.path.realpath(self.path))

    def __str__(self) -> str:
        """Return the location as errors name it."""
        return ", ".join((self.path, *filter(None, self.table)))


class ImageSource(Section):
    """A source of images in `data.sources`: its parameters, and the methods that every source implements.

    A subclass without one of the methods cannot be made: the first parameter file that names it ends in an error.
    """

    has_one_split: ClassVar[bool] = False
    """Whether its parts are one split. Then only the source of the ID sets may be of this kind."""

    @classmethod
    @abstractmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the names of the parts that an image set may use."""

    @abstractmethod
    def locations(self) -> dict[str, ImageLocation]:
        """Return the locations of its images by the name of their parameter; none for images from a package."""

    @abstractmethod
    def open(self, part: str) -> ImageSet:
        """Return a part; raises ImageFileError when images are missing, damaged, or not what the parameters say."""
