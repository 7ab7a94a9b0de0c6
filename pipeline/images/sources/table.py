"""Parameters of tables of encoded images, in Parquet files and datasets alike: columns, classes, splits and limits."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from pipeline.images.decode import LARGEST_PIXELS
from pipeline.images.sources.base import ALL, LABELLED_PARTS, ImageSource, Limits, OnBadImage, Pixels
from pipeline.images.table import Table
from pipeline.schema.section import Count, Fraction, Name, Seed
from pipeline.schema.spelling import composed, nearest_name

ClassName = Annotated[Name, AfterValidator(composed)]


def _table_or_share(test: str | float) -> str | float:
    if not test or (not isinstance(test, str) and not 0 < test < 1):
        raise ValueError("wanted the name of a table, or a share between 0 and 1 of the images in `train`")
    return test


class LabelledTable(ImageSource):
    """Labelled images in one table, or in one for training and one for testing; some classes held out as near-OOD."""

    train: Name | None
    """Table of the parts 'train' and 'validation': a file, or a split of a dataset (null: it has none)."""
    test: Annotated[str | float, AfterValidator(_table_or_share)]
    """Table of the parts 'test' and 'held_out'; or the share of each ID class of `train`, which then has all parts."""
    image: Name
    """Column of encoded images: their bytes, or structs with a field `bytes`, as Hugging Face datasets writes them."""
    label: Name
    """Column of integers, indices into `class_names`."""
    class_names: tuple[ClassName, ...]
    held_out: tuple[Annotated[str, AfterValidator(composed)], ...]
    """Names of classes never trained on; may be empty."""
    validation: Fraction
    """Share of each ID class of the training table."""
    limits: Limits
    on_bad_image: OnBadImage = "fail"
    """A default, unlike elsewhere: it never changes a result, only whether there is one."""
    largest_pixels: Pixels = LARGEST_PIXELS
    seed: Seed

    @abstractmethod
    def open_table(self, name: str | None) -> Table:
        """Open the table of that name; raises ImageFileError."""

    def table_names(self) -> tuple[str | None, ...]:
        """Return the name of the only table, or of that for training and that for testing."""
        return (self.train, self.test) if isinstance(self.test, str) else (self.train,)

    def table_of(self, part: str) -> str | None:
        """Return the name of the table with the images of a part."""
        return self.table_names()[0 if part in ("train", "validation") else -1]

    def id_classes(self) -> list[int]:
        """Return the labels of the classes to train on."""
        return [label for label, name in enumerate(self.class_names) if name not in self.held_out]

    def held_out_classes(self) -> list[int]:
        """Return the labels of the classes never trained on."""
        return [label for label, name in enumerate(self.class_names) if name in self.held_out]

    @model_validator(mode="after")
    def _class_names_are_consistent(self) -> Self:
        for field, names in (("class_names", self.class_names), ("held_out", self.held_out)):
            if repeated := _first_repeated(names):
                raise ValueError(f"{field} has {repeated!r} twice")
        for name in self.held_out:
            if name not in self.class_names:
                raise ValueError(f"held_out has {name!r}; {nearest_name(name, self.class_names)}")
        if (id_classes := len(self.id_classes())) < 2:
            raise ValueError(f"held_out leaves {id_classes} of the class_names, and a classifier needs two")
        return self

    @model_validator(mode="after")
    def _shares_leave_some_for_training(self) -> Self:
        if not isinstance(self.test, str) and self.validation + self.test > 0.9:
            raise ValueError(f"validation {self.validation} and test {self.test} leave less than a tenth for training")
        return self

    @model_validator(mode="after")
    def _every_class_fits_into_every_part(self) -> Self:
        classes = {"train": self.id_classes(), "validation": self.id_classes(), "test": self.id_classes()}
        for part, labels in {**classes, "held_out": self.held_out_classes()}.items():
            limit = self.limits.model_dump()[part]
            if limit is not None and limit < len(labels):
                raise ValueError(f"limits.{part} {limit} is below one image of each of its {len(labels)} classes")
        return self

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the parts of the ID classes, and 'held_out'."""
        return LABELLED_PARTS


class TableImages(ImageSource):
    """OOD images in one table; labels in it are ignored."""

    image: Name
    """Column of encoded images, as in a labelled table."""
    images: Count | None
    """Largest number of images, drawn at random; null: all images."""
    on_bad_image: OnBadImage = "fail"
    largest_pixels: Pixels = LARGEST_PIXELS
    seed: Seed

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the only part."""
        return ALL


def _first_repeated(names: Sequence[str]) -> str | None:
    return next((name for index, name in enumerate(names) if name in names[:index]), None)
