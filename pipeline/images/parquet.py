"""Images in Parquet files: a labelled training and test file, or one file of OOD images.

A file is known by its path: DVC runs a stage again when a source names another one, not when other images are put
under the same name. Then `dvc repro --force` is needed, after deleting what a killed run left in `.work`.

Bytes that changed since the file was written are noticed if the file holds checksums of its pages (pyarrow's
`write_page_checksum`). In one without, only what cannot be decoded any more is: other labels in range, rows in
another order or another picture are taken as they are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ImageFileError
from pipeline.images.image_set import ImageSet
from pipeline.images.split import Rows
from pipeline.images.table import BYTES, labelled, unlabelled
from pipeline.images.table_params import ParquetImagesSource, ParquetSource

READ_ROWS = 1024  # images in memory at a time while those that were chosen are picked
READ_BYTES = 1 << 20  # of a column at a time, instead of all of it


def labelled_images(source: ParquetSource, part: str) -> ImageSet:
    """Return one part of the training or the test file, as `labelled` says."""
    return labelled(_File(Path(source.table_of(part))), source, part)


def unlabelled_images(source: ParquetImagesSource) -> ImageSet:
    """Return images of a file, in its order and none of them of an ID class."""
    return unlabelled(_File(Path(source.file)), source)


class _File:
    """A Parquet file as a Table."""

    def __init__(self, where: Path) -> None:
        self.where = where
        with _opened(where) as parquet:
            self.schema, self._rows = parquet.schema_arrow, parquet.metadata.num_rows

    def __len__(self) -> int:
        return int(self._rows)

    def column(self, name: str) -> Any:
        with _opened(self.where) as parquet:
            return parquet.read(columns=[name]).column(name)

    def images(self, column: str, rows: Rows) -> Callable[[int], bytes | None]:
        """Return where the images of ascending rows are in memory; those of other rows pass through it."""
        encoded: list[bytes | None] = []
        leaf, start = f"{column}.{BYTES}" if pa.types.is_struct(self.schema.field(column).type) else column, 0
        with _opened(self.where) as parquet:
            for batch in parquet.iter_batches(READ_ROWS, columns=[leaf]):
                values = batch.column(0)
                first, end = np.searchsorted(rows, [start, start + len(values)])
                bare = values.flatten()[0] if pa.types.is_struct(values.type) else values
                encoded += bare.take(pa.array(rows[first:end] - start)).to_pylist()
                start += len(values)
        if len(encoded) != len(rows):
            raise _damaged(self.where, f"only {len(encoded)} of {len(rows)} wanted rows in column {column!r}")
        return encoded.__getitem__


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


def _damaged(file: Path, reason: str) -> ImageFileError:
    return ImageFileError(file, reason, "a whole Parquet file", "Fetch it again, or name another in params.yaml.")
