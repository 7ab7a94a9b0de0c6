"""Images in Parquet files: a labelled training and test file, or one file of OOD images.

A file is known by its path or its address on the hub: DVC runs a stage again when a source names another one, not
when other images are put under the same name. Then `dvc repro --force` is needed, after deleting what a killed run
left in `.work`.

Bytes that changed since the file was written are noticed if the file holds checksums of its pages (pyarrow's
`write_page_checksum`). In one without, only what cannot be decoded any more is: other labels in range, rows in
another order or another picture are taken as they are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from pipeline.config import nearest_name
from pipeline.errors import ImageFileError
from pipeline.images.decode import FORMATS, NoPictureError, decode, quiet
from pipeline.images.hub import local_file
from pipeline.images.image_set import UNKNOWN, ImageSet
from pipeline.images.limits import LARGEST_PIXELS
from pipeline.images.params import ParquetImagesSource, ParquetSource
from pipeline.images.split import Rows, limited, shuffled_rows

READ_ROWS = 1024  # images in memory at a time while those that were chosen are picked
READ_BYTES = 1 << 20  # of a column at a time, instead of all of it


def labelled_images(source: ParquetSource, part: str) -> ImageSet:
    """Return one part: 'train' and 'validation' of the training file's ID classes, 'test' of the test file's.

    'held_out' are the other classes of the test file. The split is stratified by class and depends on the seed only.
    """
    file = local_file(source.train if part in ("train", "validation") else source.test)
    labels = _labels(file, source)
    rows = _rows(file, labels, source, part)
    kept = source.id_classes()
    index = np.full(len(source.class_names), UNKNOWN, np.int32)
    index[kept] = np.arange(len(kept))
    names = () if part == "held_out" else tuple(source.class_names[label] for label in kept)
    return ImageSet(index[labels[rows]], names, _Encoded(file, source.image, rows).read)


def unlabelled_images(source: ParquetImagesSource) -> ImageSet:
    """Return images of a file, in its order and none of them of an ID class."""
    file = local_file(source.file)
    with _opened(file) as parquet:
        available = parquet.metadata.num_rows
    if not available:
        raise ImageFileError(file, "no rows", "images", "Name another file in params.yaml.")
    rows = np.sort(np.random.default_rng(source.seed).permutation(available)[: source.images])
    return ImageSet(np.full(len(rows), UNKNOWN, np.int32), (), _Encoded(file, source.image, rows).read)


class _Encoded:
    """The chosen images of a file: their bytes in memory, decoded one by one."""

    def __init__(self, file: Path, column: str, rows: Rows) -> None:
        self.file, self.column, self.rows = file, column, rows
        self.encoded = _image_bytes(file, column, rows)

    def read(self, index: int) -> Image.Image:
        """Return a picture as `decode` does."""
        try:
            with quiet():
                return decode(BytesIO(self.encoded[index]), LARGEST_PIXELS)
        except NoPictureError as error:
            raise _no_image(self.file, self.column, self.rows[index], str(error)) from error


def _rows(file: Path, labels: NDArray[np.int64], source: ParquetSource, part: str) -> Rows:
    """Return the rows of one part, in the order of the file."""
    wanted = source.held_out_classes() if part == "held_out" else source.id_classes()
    classes = [shuffled_rows(labels, label, source.seed) for label in wanted]
    for label, rows in zip(wanted, classes, strict=True):
        if not len(rows):
            raise _too_few(file, source, label, 0, "at least one", "or another column or order of labels")
    if part in ("train", "validation"):
        classes = [_share(file, source, part, label, rows) for label, rows in zip(wanted, classes, strict=True)]
    return np.sort(np.concatenate(limited(classes, source.limits.model_dump()[part])))


def _share(file: Path, source: ParquetSource, part: str, label: int, rows: Rows) -> Rows:
    """Return the part of one class's shuffled rows: the first are for validation, all others for training."""
    cut = round(len(rows) * source.validation)
    if not 0 < cut < len(rows):
        wanted = f"enough for validation to take {source.validation} of them and for both sides to have one"
        raise _too_few(file, source, label, len(rows), wanted, "or another share")
    return rows[:cut] if part == "validation" else rows[cut:]


def _labels(file: Path, source: ParquetSource) -> NDArray[np.int64]:  # (rows of the file,)
    """Return the column of labels, every one of them in the range of the class names."""
    with _opened(file) as parquet:
        kind = _type(file, parquet, "label", source.label)
        if not pa.types.is_integer(kind):
            raise _wrong_type(file, "label", source.label, kind, "integers")
        column = parquet.read(columns=[source.label]).column(source.label)
        absent = np.asarray(column.is_null())
        labels = np.asarray(column.fill_null(0))
    wrong = np.flatnonzero(absent | (labels < 0) | (labels >= len(source.class_names)))
    if len(wrong):
        row, last = wrong[0], len(source.class_names) - 1
        found = f"{'no label' if absent[row] else f'label {labels[row]}'} in row {row} (the first is 0)"
        wanted = f"0 to {last} in every row, as there are {last + 1} class_names"
        raise ImageFileError(file, found, wanted, "Complete class_names in params.yaml, or remove such rows.")
    return labels.astype(np.int64)


def _image_bytes(file: Path, column: str, rows: Rows) -> list[bytes]:
    """Return the encoded images of ascending rows; those of other rows pass through memory and are dropped."""
    encoded: list[bytes | None] = []
    with _opened(file) as parquet:
        leaf, start = _image_leaf(file, column, _type(file, parquet, "image", column)), 0
        for batch in parquet.iter_batches(READ_ROWS, columns=[leaf]):
            values = batch.column(0)
            first, end = np.searchsorted(rows, [start, start + len(values)])
            bare = values.flatten()[0] if pa.types.is_struct(values.type) else values
            encoded += bare.take(pa.array(rows[first:end] - start)).to_pylist()
            start += len(values)
    return _whole(file, column, rows, encoded)


def _whole(file: Path, column: str, rows: Rows, encoded: Sequence[bytes | None]) -> list[bytes]:
    if len(encoded) != len(rows):
        raise _damaged(file, f"only {len(encoded)} of {len(rows)} wanted rows in column {column!r}")
    present = [image for image in encoded if image is not None]
    if len(present) < len(encoded):
        raise _no_image(file, column, rows[encoded.index(None)], "no bytes")
    return present


def _image_leaf(file: Path, column: str, kind: Any) -> str:
    """Return the path of the bytes in a column of bytes or of structs with a field `bytes`."""
    nested = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    inner = kind.field("bytes").type if nested else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        raise _wrong_type(file, "image", column, kind, "binary, or a struct with a binary field 'bytes'")
    return f"{column}.bytes" if nested else column


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Yield an open pq.ParquetFile; what pyarrow says of a damaged one becomes one line that names it."""
    if not file.is_file():
        advice = "Put it there, or correct the path in params.yaml; it starts at the project's root."
        raise ImageFileError(file, "no file", "a Parquet file", advice)
    try:
        with pq.ParquetFile(file, page_checksum_verification=True, buffer_size=READ_BYTES) as parquet:
            yield parquet
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(file, " ".join(str(error).split())) from error


def _type(file: Path, parquet: Any, parameter: str, column: str) -> Any:
    """Return the Arrow type of a column."""
    names = parquet.schema_arrow.names
    if names.count(column) != 1:
        advice = f"Correct the source's `{parameter}` in params.yaml: {nearest_name(column, names)}"
        raise ImageFileError(file, f"columns {', '.join(names)}", f"one called {column!r}", advice)
    return parquet.schema_arrow.field(column).type


def _damaged(file: Path, reason: str) -> ImageFileError:
    return ImageFileError(file, reason, "a whole Parquet file", "Fetch it again, or name another in params.yaml.")


def _wrong_type(file: Path, parameter: str, column: str, kind: object, wanted: str) -> ImageFileError:
    advice = f"Name another column as the source's `{parameter}` in params.yaml, or convert this one."
    return ImageFileError(file, f"column {column!r} of type {kind}", wanted, advice)


def _no_image(file: Path, column: str, row: int, found: str) -> ImageFileError:
    where = f"{found} in row {row} (the first is 0) of column {column!r}"
    advice = "Fetch the file again, or write it again without that row."
    return ImageFileError(file, where, f"an image ({', '.join(FORMATS)})", advice)


def _too_few(file: Path, source: ParquetSource, label: int, found: int, wanted: str, choice: str) -> ImageFileError:
    name = source.class_names[label]
    advice = f"Take a file with more of that class, {choice}, in params.yaml."
    return ImageFileError(file, f"{found} images of class {name!r} (label {label})", wanted, advice)
