"""Write rows of predictions to the terminal or, as they come, to a Parquet or CSV file that appears when complete."""

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from pipeline.runtime.errors import MissingExtraError, OverwriteError, reason
from pipeline.runtime.files import partial_path, remove_abandoned
from pipeline.runtime.text.terminal import say
from pipeline.runtime.text.user_text import csv_text, printable

COLUMNS = ("file", "label", "probability", "outlier_score", "is_outlier", "threshold", "error")
UNKNOWN = "I don't know"
"""The answer for an outlier."""
ROWS_PER_GROUP = 8192
"""Rows kept in memory before they are written to a Parquet file as a row group."""
Prediction = tuple[str | None, float | None, float | None, bool | None, str | None]
"""The columns but the file and the threshold: a prediction and no error, or an error and no prediction. `is_outlier` is
true beside the error of an image whose score is not finite."""
Row = tuple[str, str | None, float | None, float | None, bool | None, str | None]
"""One value per column but the threshold, which is the same in all rows."""


class RowWriter(Protocol):
    """A destination for rows."""

    def write(self, rows: list[Row]) -> None:
        """Write the next rows."""
        ...

    def close(self) -> None:
        """Write all buffered rows."""
        ...


@contextmanager
def open_output(target: Path | None, threshold: float) -> Iterator[RowWriter]:
    """Yield a writer of rows to a file that ends in .parquet or .csv, or to standard output if `target` is None.

    threshold: an image whose score is above it is an outlier.

    A terminal gets a table, any other standard output gets CSV. A file gets its name only if the body ends without an
    error. Partial files left by killed processes are deleted first. Raises OverwriteError when a folder has that name.
    """
    if target is None:
        standard_output = _TerminalTable(threshold) if sys.stdout.isatty() else _CsvStream(sys.stdout, threshold)
        yield standard_output
        standard_output.close()
        return
    if target.is_dir():
        raise OverwriteError(target, "a folder", "a file to write", "Name a file in it, such as answers.parquet.")
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    partial = partial_path(target)
    try:
        with partial.open("wb") as stream:
            writer = (_ParquetFile if target.suffix == ".parquet" else _CsvFile)(stream, threshold)
            try:
                yield writer
            finally:
                writer.close()
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _with_threshold(row: Row, threshold: float) -> tuple[str | float | None, ...]:
    """Return one value per column, in the order of COLUMNS."""
    *answer, error = row
    return (*answer, threshold, error)


def _csv_cell(value: str | float | None) -> str | float | None:
    """Return a cell: text escaped, a number that is no truth value with six digits."""
    if isinstance(value, str):
        return csv_text(value)
    return f"{value:.6g}" if isinstance(value, float) else value


class _CsvStream:
    def __init__(self, stream: IO[str], threshold: float) -> None:
        self._stream, self._writer = stream, csv.writer(stream, lineterminator="\n")
        self._threshold = threshold
        self._writer.writerow(COLUMNS)

    def write(self, rows: list[Row]) -> None:
        """Write one line per row; floats have six digits, None is empty, and text is escaped."""
        self._writer.writerows(map(_csv_cell, _with_threshold(row, self._threshold)) for row in rows)

    def close(self) -> None:
        """Write all buffered rows."""
        self._stream.flush()


class _CsvFile(_CsvStream):
    def __init__(self, stream: IO[bytes], threshold: float) -> None:
        from io import TextIOWrapper

        self._text = TextIOWrapper(stream, encoding="utf-8", newline="")
        super().__init__(self._text, threshold)

    def close(self) -> None:
        """Pass all text on to the underlying file, which stays open."""
        self._text.detach()


class _TerminalTable:
    """A readable table with columns of fixed width: the answer first, the file name last."""

    def __init__(self, threshold: float) -> None:
        say(f"{UNKNOWN}: the score is above {threshold:.5g}, the threshold", "")
        say(f"{'answer':<20} {'score':>8}  {'closest class':<20} {'probability':>11}  file")

    def write(self, rows: list[Row]) -> None:
        """Write one line per row."""
        for file, label, probability, score, is_outlier, error in rows:
            if error is not None:
                say(f"error: {error}")
                continue
            name = printable(str(label))
            answer = UNKNOWN if is_outlier else name
            say(f"{answer:<20.20} {score:>8.5g}  {name:<20.20} {probability:>11.1%}  {file}")

    def close(self) -> None:
        """Write all buffered rows."""
        sys.stdout.flush()


class _ParquetFile:
    def __init__(self, stream: IO[bytes], threshold: float) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtraError("pyarrow", "predict", "an --out that ends in .parquet", reason(error)) from error
        self._threshold = threshold
        types = (pa.string(), pa.string(), pa.float64(), pa.float64(), pa.bool_(), pa.float64(), pa.string())
        self._schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
        self._writer: Any = pq.ParquetWriter(stream, self._schema, write_page_checksum=True)
        self._rows: list[Row] = []

    def write(self, rows: list[Row]) -> None:
        """Buffer rows, and write a row group whenever one is full."""
        self._rows += rows
        while len(self._rows) >= ROWS_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        """Write the last row group and the file footer."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        group, self._rows = self._rows[:ROWS_PER_GROUP], self._rows[ROWS_PER_GROUP:]
        whole = [_with_threshold(row, self._threshold) for row in group]
        columns = [
            pa.array(values, type_) for values, type_ in zip(zip(*whole, strict=True), self._schema.types, strict=True)
        ]
        self._writer.write_table(pa.table(columns, schema=self._schema))
