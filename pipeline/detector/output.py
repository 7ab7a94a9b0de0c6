"""Write answers as they come, to a Parquet or CSV file that appears when it is whole, or to the terminal."""

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from pipeline.files import partial_path, remove_abandoned

COLUMNS = ("file", "label", "probability", "outlier_score", "is_outlier", "error")
ROWS_PER_GROUP = 8192
"""Rows of a Parquet file that are in memory before they are written as a row group."""
Row = tuple[str, str | None, float | None, float | None, bool | None, str | None]
"""A value per column: an answer and no error, or an error and no answer."""


class Output(Protocol):
    """Where rows go."""

    def write(self, rows: list[Row]) -> None:
        """Take the next rows."""
        ...

    def close(self) -> None:
        """Write what is still held back."""
        ...


@contextmanager
def open_output(target: Path | None) -> Iterator[Output]:
    """Yield where rows go: a file ending in .parquet or .csv, or None for the terminal (CSV where there is none).

    A file gets its name when, and only when, the body ends without an error. What a killed process left of the same
    file is deleted first.
    """
    if target is None:
        terminal = _Lines() if sys.stdout.isatty() else _Csv(sys.stdout)
        yield terminal
        terminal.close()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    partial = partial_path(target)
    try:
        with partial.open("wb") as stream:
            output = _Parquet(stream) if target.suffix == ".parquet" else _CsvFile(stream)
            try:
                yield output
            finally:
                output.close()
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


class _Csv:
    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._writer = stream, csv.writer(stream, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def write(self, rows: list[Row]) -> None:
        """Write a line for each; a float with every digit it has, None as nothing."""
        self._writer.writerows(rows)

    def close(self) -> None:
        """Write what is still held back."""
        self._stream.flush()


class _CsvFile(_Csv):
    def __init__(self, stream: IO[bytes]) -> None:
        from io import TextIOWrapper

        self._text = TextIOWrapper(stream, encoding="utf-8", newline="")
        super().__init__(self._text)

    def close(self) -> None:
        """Hand everything to the file below, which stays open."""
        self._text.detach()


class _Lines:
    """A table for people: columns of fixed width, the file last.

    Standard output is looked up for every line: while there is a progress bar, rich stands in for it.
    """

    def __init__(self) -> None:
        sys.stdout.write(f"{'label':<20} {'probability':>11} {'score':>12}  {'outlier':<7}  file\n")

    def write(self, rows: list[Row]) -> None:
        """Write a line for each."""
        for file, label, probability, score, is_outlier, error in rows:
            if error is not None:
                sys.stdout.write(f"error: {error}\n")
                continue
            said = f"{label!s:<20.20} {probability:>11.1%} {score:>12.5g}  {'yes' if is_outlier else 'no':<7}"
            sys.stdout.write(f"{said}  {file}\n")

    def close(self) -> None:
        """Write what is still held back."""
        sys.stdout.flush()


class _Parquet:
    def __init__(self, stream: IO[bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = (pa.string(), pa.string(), pa.float64(), pa.float64(), pa.bool_(), pa.string())
        self._schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
        self._writer: Any = pq.ParquetWriter(stream, self._schema, write_page_checksum=True)
        self._rows: list[Row] = []

    def write(self, rows: list[Row]) -> None:
        """Keep rows until a row group is full."""
        self._rows += rows
        while len(self._rows) >= ROWS_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        """Write the last row group, and what ends the file."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        group, self._rows = self._rows[:ROWS_PER_GROUP], self._rows[ROWS_PER_GROUP:]
        columns = [
            pa.array(values, kind) for values, kind in zip(zip(*group, strict=True), self._schema.types, strict=True)
        ]
        self._writer.write_table(pa.table(columns, schema=self._schema))
