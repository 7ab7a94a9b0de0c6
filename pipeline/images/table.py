"""The interface of a table of encoded images, in whatever file it lies."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from pipeline.images.selection import RowNumbers


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

    def state(self) -> Any:
        """Return what tells this state of the table from another one, as far as that is known without reading it."""

    def column(self, name: str) -> Any:
        """Return a whole column as a pa.ChunkedArray."""

    def images(self, column: str, rows: RowNumbers) -> Callable[[int], bytes | None]:
        """Return a function from an index into the ascending `rows` to the encoded image, or None if it is missing."""

    def each_image(self, column: str) -> Iterator[Callable[[], bytes | None]]:
        """Yield for each row a function that returns its encoded image; only a few images are in memory at a time."""
