"""A Parquet file as a table of encoded images.

If the file has checksums of its pages (pyarrow's `write_page_checksum`), bytes that changed since it was written are
noticed. Without them, only images that no longer decode are noticed. Other labels within the range, another order of
rows or another picture are not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.images.image_set import BYTES
from pipeline.images.selection import RowNumbers
from pipeline.runtime.errors import ImageFileError

READ_ROWS = 1024  # images in memory at a time while the wanted rows are selected
READ_BYTES = 1 << 20  # bytes of a column that are read at a time


class ParquetFile:
    """A Parquet file, as a Table."""

    def __init__(self, where: Path) -> None:
        self.where = where
        with _opened(where) as parquet:
            self.schema, self._rows = parquet.schema_arrow, parquet.metadata.num_rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._rows)

    def column(self, name: str) -> Any:
        """Return a whole column as a pa.ChunkedArray."""
        with _opened(self.where) as parquet:
            return parquet.read(columns=[name]).column(name)

    def images(self, column: str, rows: RowNumbers) -> Callable[[int], bytes | None]:
        """Return a function from an index into the ascending `rows` to an encoded image, all of them in memory.

        Images of other rows are read too, but not kept.
        """
        encoded: list[bytes | None] = []
        leaf, start = f"{column}.{BYTES}" if pa.types.is_struct(self.schema.field(column).type) else column, 0
        with _opened(self.where) as parquet:
            for batch in parquet.iter_batches(READ_ROWS, columns=[leaf]):
                values = batch.column(0)
                first, end = np.searchsorted(rows, [start, start + len(values)])
                contents = values.flatten()[0] if pa.types.is_struct(values.type) else values
                encoded += contents.take(pa.array(rows[first:end] - start)).to_pylist()
                start += len(values)
        if len(encoded) != len(rows):
            raise _damaged(self.where, f"only {len(encoded)} of {len(rows)} wanted rows in column {column!r}")
        return encoded.__getitem__


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Yield an open pq.ParquetFile; pyarrow's error of a damaged file becomes one line that names the file."""
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
