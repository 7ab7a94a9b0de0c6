"""Image sets out of tables of encoded images: which rows a part has, and what is wrong with a row or a column.

One implementation for Parquet files and datasets: the same rows in either give the same images in the same order.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pipeline.config import nearest_name
from pipeline.errors import ImageFileError
from pipeline.images.bomb import LARGEST_PIXELS
from pipeline.images.decode import FORMATS, NoPictureError, decode, quiet
from pipeline.images.image_set import UNKNOWN, ImageSet
from pipeline.images.split import Rows, limited, shuffled_rows
from pipeline.images.table_params import LabelledTable, TableImages

BYTES = "bytes"
"""Field of encoded images in a column of structs."""


class Table(Protocol):
    """Rows in columns of Arrow types, to be read column by column."""

    @property
    def where(self) -> Path | str:
        """What errors call the table."""

    @property
    def schema(self) -> Any:
        """The pa.Schema."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def column(self, name: str) -> Any:
        """Return a whole column as a pa.ChunkedArray."""

    def images(self, column: str, rows: Rows) -> Callable[[int], bytes | None]:
        """Return a function from an index into the ascending `rows` to the encoded image there, None where none is."""


def labelled(table: Table, source: LabelledTable, part: str) -> ImageSet:
    """Return one part of a table: 'train' and 'validation' divide its ID classes, 'test' has all of their images.

    'held_out' are its other classes. The split is stratified by class and depends on the seed only.
    """
    labels = _labels(table, source)
    rows = _rows(table, labels, source, part)
    kept = source.id_classes()
    index = np.full(len(source.class_names), UNKNOWN, np.int32)
    index[kept] = np.arange(len(kept))
    names = () if part == "held_out" else tuple(source.class_names[label] for label in kept)
    return ImageSet(index[labels[rows]], names, _Encoded(table, source.image, rows).read)


def unlabelled(table: Table, source: TableImages) -> ImageSet:
    """Return images of a table, in its order and none of them of an ID class."""
    if not len(table):
        raise ImageFileError(table.where, "no rows", "images", "Name other images in params.yaml.")
    rows = np.sort(np.random.default_rng(source.seed).permutation(len(table))[: source.images])
    return ImageSet(np.full(len(rows), UNKNOWN, np.int32), (), _Encoded(table, source.image, rows).read)


class _Encoded:
    """The chosen images of a table, decoded one by one."""

    def __init__(self, table: Table, column: str, rows: Rows) -> None:
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

    def _no_image(self, index: int, found: str) -> ImageFileError:
        place = f"{found} in row {self.rows[index]} (the first is 0) of column {self.column!r}"
        advice = "Fetch the images again, or write them again without that row."
        return ImageFileError(self.where, place, f"an image ({', '.join(FORMATS)})", advice)


def _rows(table: Table, labels: NDArray[np.int64], source: LabelledTable, part: str) -> Rows:
    """Return the rows of one part, in the order of the table."""
    wanted = source.held_out_classes() if part == "held_out" else source.id_classes()
    classes = [shuffled_rows(labels, label, source.seed) for label in wanted]
    for label, rows in zip(wanted, classes, strict=True):
        if not len(rows):
            raise _too_few(table, source, label, 0, "at least one", "or another column or order of labels")
    if part in ("train", "validation"):
        classes = [_share(table, source, part, label, rows) for label, rows in zip(wanted, classes, strict=True)]
    return np.sort(np.concatenate(limited(classes, source.limits.model_dump()[part])))


def _share(table: Table, source: LabelledTable, part: str, label: int, rows: Rows) -> Rows:
    """Return the part of one class's shuffled rows: the first are for validation, all others for training."""
    cut = round(len(rows) * source.validation)
    if not 0 < cut < len(rows):
        wanted = f"enough for validation to take {source.validation} of them and for both sides to have one"
        raise _too_few(table, source, label, len(rows), wanted, "or another share")
    return rows[:cut] if part == "validation" else rows[cut:]


def _labels(table: Table, source: LabelledTable) -> NDArray[np.int64]:  # (rows of the table,)
    """Return the column of labels, every one of them in the range of the class names."""
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
    """Return whether a column is of bytes, or of structs with a field of bytes."""
    nested = pa.types.is_struct(kind) and kind.get_field_index(BYTES) >= 0
    inner = kind.field(BYTES).type if nested else kind
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def _wrong_type(table: Table, parameter: str, column: str, kind: object, wanted: str) -> ImageFileError:
    advice = f"Name another column as the source's `{parameter}` in params.yaml, or convert this one."
    return ImageFileError(table.where, f"column {column!r} of type {kind}", wanted, advice)


def _too_few(table: Table, source: LabelledTable, label: int, found: int, wanted: str, choice: str) -> ImageFileError:
    name = source.class_names[label]
    advice = f"Take images with more of that class, {choice}, in params.yaml."
    return ImageFileError(table.where, f"{found} images of class {name!r} (label {label})", wanted, advice)
