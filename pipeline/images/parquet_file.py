"""A Parquet file as a table of encoded images.

If the file has checksums of its pages (pyarrow's `write_page_checksum`), bytes that changed since it was written are
noticed. Without them, only images that no longer decode are noticed. Other labels within the range, another order of
rows or another picture are not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.images.image_set import BYTES
from pipeline.images.selection import RowNumbers
from pipeline.runtime.errors import ImageFileError

READ_ROWS, READ_ROW_BYTES = 1024, 2**26  # images in memory at a time, and about the most bytes of them
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

    def state(self) -> Any:
        """Return the path, size and times of the file."""
        status = self.where.stat()
        return [str(self.where.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns]

    def column(self, name: str) -> Any:
        """Return a whole column as a pa.ChunkedArray."""
        with _opened(self.where) as parquet:
            return parquet.read(columns=[name]).column(name)

    def images(self, column: str, rows: RowNumbers) -> Callable[[int], bytes | None]:
        """Return a function from an index into the ascending `rows` to an encoded image, all of them in memory.

        Images of other rows are read too, but not kept.
        """
        encoded, start = list[bytes | None](), 0
        for values in self._batches(column):
            first, end = np.searchsorted(rows, [start, start + len(values)])
            encoded += values.take(pa.array(rows[first:end] - start)).to_pylist()
            start += len(values)
        if len(encoded) != len(rows):
            raise _damaged(self.where, f"only {len(encoded)} of {len(rows)} wanted rows in column {column!r}")
        return encoded.__getitem__

    def each_image(self, column: str) -> Iterator[Callable[[], bytes | None]]:
        """Yield for each row a function that returns its encoded image."""
        for values in self._batches(column):
            yield from (value.as_py for value in values)

    def _batches(self, column: str) -> Iterator[Any]:
        """Yield a column of images as arrays of bytes, row by row where pyarrow cannot hold more of them at once."""
        leaf = f"{column}.{BYTES}" if pa.types.is_struct(self.schema.field(column).type) else column
        with _opened(self.where) as parquet:
            for group in range(parquet.num_row_groups):
                done = 0
                try:
                    for batch in parquet.iter_batches(_rows_at_once(parquet, group), [group], [leaf]):
                        done += len(batch)
                        yield _contents(batch)
                except pa.ArrowNotImplementedError:  # more than 2 GiB, as no average tells
                    yield from map(_contents, islice(parquet.iter_batches(1, [group], [leaf]), done, None))


def _rows_at_once(parquet: Any, group: int) -> int:
    """Return how many rows of a row group to read at a time; pyarrow refuses 2 GiB of structs.

    The size is that of all columns. To ask for that of one would end the process where its statistics are damaged.
    """
    row_group = parquet.metadata.row_group(group)
    rows: int = READ_ROW_BYTES * row_group.num_rows // max(row_group.total_byte_size, 1)
    return min(READ_ROWS, max(1, rows))


def _contents(batch: Any) -> Any:
    values = batch.column(0)
    return values.flatten()[0] if pa.types.is_struct(values.type) else values


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Yield an open pq.ParquetFile; pyarrow's error of a damaged file becomes one line that names the file."""
    if not file.is_file():
        raise _absent(file)
    try:
        with pq.ParquetFile(file, page_checksum_verification=True, buffer_size=READ_BYTES) as parquet:
            yield parquet
    except pa.ArrowNotImplementedError as error:
        found = f"a file that pyarrow does not read ({' '.join(str(error).split())})"
        raise ImageFileError(file, found, "a plain Parquet file", "Write it again with pyarrow.") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(file, " ".join(str(error).split())) from error


def _absent(file: Path) -> ImageFileError:
    """Return the error of a path without a file; several files of one table need another kind of source."""
    if file.is_dir() or any(letter in file.name for letter in "*?[{"):
        folder = file if file.is_dir() else file.parent
        shards = len(list(folder.glob("*.parquet")))
        found = f"{'a folder' if file.is_dir() else 'a pattern'} with {shards} Parquet files"
        advice = (
            f"For a table in several files take kind 'dataset' or 'dataset_images' with `dataset: {folder}`, `config: "
            f"null` and `revision: null`, and name its splits (docs/images.md)."
        )
        return ImageFileError(file, found, "one Parquet file", advice)
    advice = "Put it there, or correct the path in params.yaml; it starts at the project's root."
    return ImageFileError(file, "no file", "a Parquet file", advice)


def _damaged(file: Path, reason: str) -> ImageFileError:
    return ImageFileError(file, reason, "a whole Parquet file", "Fetch it again, or name another in params.yaml.")
