"""Tables of encoded images, in Parquet files and datasets alike: columns, classes, splits and limits.

The same rows in either kind of table give the same images in the same order.
"""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import model_validator

from pipeline.images.decode import LARGEST_PIXELS, NoPictureError, decode, quiet
from pipeline.images.formats import readable_formats
from pipeline.images.image_set import BYTES, OOD_LABEL, ImageSet
from pipeline.images.selection import RowNumbers, limited, shuffled_rows
from pipeline.images.sources.base import ALL, LABELLED_PARTS, ImageSource, Limits
from pipeline.runtime.errors import ImageFileError
from pipeline.schema.section import Count, Fraction, Name, Seed
from pipeline.schema.spelling import nearest_name


class LabelledTable(ImageSource):
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
        """Return the name of the table with the images of a part."""
        return self.train if part in ("train", "validation") else self.test

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
    seed: Seed

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the only part."""
        return ALL


class Table(Protocol):
    """Rows in columns of Arrow types, read column by column."""

    @property
    def where(self) -> Path | str:
        """The name of the table in errors."""

    @property
    def schema(self) -> Any:
        """The pa.Schema."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def column(self, name: str) -> Any:
        """Return a whole column as a pa.ChunkedArray."""

    def images(self, column: str, rows: RowNumbers) -> Callable[[int], bytes | None]:
        """Return a function from an index into the ascending `rows` to the encoded image, or None if it is missing."""


def labelled(table: Table, source: LabelledTable, part: str) -> ImageSet:
    """Return a part of a table: 'train' and 'validation' divide its ID classes, 'test' has all images of them.

    'held_out' has its other classes. The split is stratified by class and depends on the seed only.
    """
    labels = _labels(table, source)
    rows = _rows(table, labels, source, part)
    id_classes = source.id_classes()
    class_index = np.full(len(source.class_names), OOD_LABEL, np.int32)
    class_index[id_classes] = np.arange(len(id_classes))
    names = () if part == "held_out" else tuple(source.class_names[label] for label in id_classes)
    return ImageSet(class_index[labels[rows]], names, _EncodedImages(table, source.image, rows).read)


def unlabelled(table: Table, source: TableImages) -> ImageSet:
    """Return images of a table in their order, all labelled OOD."""
    if not len(table):
        raise ImageFileError(table.where, "no rows", "images", "Name other images in params.yaml.")
    rows = np.sort(np.random.default_rng(source.seed).permutation(len(table))[: source.images])
    return ImageSet(np.full(len(rows), OOD_LABEL, np.int32), (), _EncodedImages(table, source.image, rows).read)


class _EncodedImages:
    """The chosen images of a table, decoded one by one."""

    def __init__(self, table: Table, column: str, rows: RowNumbers) -> None:
        kind = _type(table, "image", column)
        if not _holds_bytes(kind):
            raise _wrong_type(table, "image", column, kind, f"binary, or a struct with a binary field {BYTES!r}")
        self.where, self.column, self.rows = table.where, column, rows
        self.encoded = table.images(column, rows)

    def read(self, index: int) -> Image.Image:
        """Return a picture as `decode` does."""
        encoded = self.encoded(index)
        if encoded is None:
            raise self._no_image(index, "no bytes")
        try:
            with quiet():
                return decode(BytesIO(encoded), LARGEST_PIXELS)
        except NoPictureError as error:
            raise self._no_image(index, str(error)) from error

    def _no_image(self, index: int, problem: str) -> ImageFileError:
        found = f"{problem} in row {self.rows[index]} (the first is 0) of column {self.column!r}"
        advice = "Fetch the images again, or write them again without that row."
        return ImageFileError(self.where, found, f"an image ({', '.join(readable_formats())})", advice)


def _rows(table: Table, labels: NDArray[np.int64], source: LabelledTable, part: str) -> RowNumbers:
    """Return the rows of a part, in the order of the table."""
    part_labels = source.held_out_classes() if part == "held_out" else source.id_classes()
    classes = [shuffled_rows(labels, label, source.seed) for label in part_labels]
    for label, rows in zip(part_labels, classes, strict=True):
        if not len(rows):
            raise _too_few(table, source, label, 0, "at least one", "or another column or order of labels")
    if part in ("train", "validation"):
        classes = [_share(table, source, part, label, rows) for label, rows in zip(part_labels, classes, strict=True)]
    return np.sort(np.concatenate(limited(classes, source.limits.model_dump()[part])))


def _share(table: Table, source: LabelledTable, part: str, label: int, rows: RowNumbers) -> RowNumbers:
    """Return the part of a class's shuffled rows: the first are for validation, all others for training."""
    cut = round(len(rows) * source.validation)
    if not 0 < cut < len(rows):
        wanted = f"enough for validation to take {source.validation} of them and for both sides to have one"
        raise _too_few(table, source, label, len(rows), wanted, "or another share")
    return rows[:cut] if part == "validation" else rows[cut:]


def _labels(table: Table, source: LabelledTable) -> NDArray[np.int64]:  # (rows of the table,)
    """Return the column of labels; raises ImageFileError when a label is not an index into the class names."""
    import pyarrow as pa

    kind = _type(table, "label", source.label)
    if not pa.types.is_integer(kind):
        raise _wrong_type(table, "label", source.label, kind, "integers")
    column = table.column(source.label)
    absent = np.asarray(column.is_null())
    labels = np.asarray(column.fill_null(0))
    wrong = np.flatnonzero(absent | (labels < 0) | (labels >= len(source.class_names)))
    if len(wrong):
        row, last = wrong[0], len(source.class_names) - 1
        found = f"{'no label' if absent[row] else f'label {labels[row]}'} in row {row} (the first is 0)"
        wanted = f"0 to {last} in every row, as there are {last + 1} class_names"
        raise ImageFileError(table.where, found, wanted, "Complete class_names in params.yaml, or remove such rows.")
    return labels.astype(np.int64)


def _type(table: Table, parameter: str, column: str) -> Any:
    """Return the Arrow type of a column."""
    names = table.schema.names
    if names.count(column) != 1:
        advice = f"Correct the source's `{parameter}` in params.yaml: {nearest_name(column, names)}"
        raise ImageFileError(table.where, f"columns {', '.join(names)}", f"one called {column!r}", advice)
    return table.schema.field(column).type


def _holds_bytes(kind: Any) -> bool:
    """Return whether a column type is bytes, or a struct with a field of bytes."""
    import pyarrow as pa

    nested = pa.types.is_struct(kind) and kind.get_field_index(BYTES) >= 0
    inner = kind.field(BYTES).type if nested else kind
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def _wrong_type(table: Table, parameter: str, column: str, kind: object, wanted: str) -> ImageFileError:
    advice = f"Name another column as the source's `{parameter}` in params.yaml, or convert this one."
    return ImageFileError(table.where, f"column {column!r} of type {kind}", wanted, advice)


def _too_few(table: Table, source: LabelledTable, label: int, count: int, wanted: str, choice: str) -> ImageFileError:
    name = source.class_names[label]
    advice = f"Take images with more of that class, {choice}, in params.yaml."
    return ImageFileError(table.where, f"{count} images of class {name!r} (label {label})", wanted, advice)


def _first_repeated(names: Sequence[str]) -> str | None:
    return next((name for index, name in enumerate(names) if name in names[:index]), None)
