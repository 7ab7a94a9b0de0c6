"""A split of a dataset, opened with the library `datasets`, as a table of encoded images.

No code that comes with a dataset is run. No file outside the dataset's folder and the library's cache is read. The
library copies Parquet files into its cache once, as Arrow files, and maps those into memory. Only the images that are
asked for are read. A folder is identified by its path and not by its content, like a Parquet file.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.images.hub_dataset import DatasetAddress, advice, one_line, open_dataset
from pipeline.images.image_set import BYTES
from pipeline.images.selection import RowNumbers
from pipeline.runtime.errors import ImageFileError
from pipeline.schema.spelling import nearest_name

PATH = "path"
"""Field of a struct column with the name of an image file, for images whose bytes are not in the table."""


class DatasetSplit:
    """A split of a dataset, as a Table."""

    def __init__(self, address: DatasetAddress, split: str | None) -> None:
        self.where = address.dataset if split is None else f"{address.dataset}, split {split}"
        self.data = _selected_split(open_dataset(address), address, split).with_format("arrow")
        self.schema = self.data.features.arrow_schema
        self.roots, self.advice = _roots(address), advice(address)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.data)

    def state(self) -> Any:
        """Return the library's fingerprint of the rows, and the path, size and times of its files."""
        files = [Path(file["filename"]) for file in self.data.cache_files]
        times = [(status.st_size, status.st_mtime_ns, status.st_ctime_ns) for status in map(Path.stat, files)]
        return [self.where, self.data._fingerprint, list(map(str, files)), times]  # noqa: SLF001  # has no public name

    def column(self, name: str) -> Any:
        """Return a column, mapped from its file and not loaded; raises ImageFileError when it is damaged."""
        try:
            column = self.data.select_columns([name])[:].column(0)
            column.validate(full=True)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise ImageFileError(self.where, one_line(error), "an undamaged column", self.advice) from error
        return column

    def images(self, column: str, rows: RowNumbers) -> Callable[[int], bytes | None]:
        """Return a function from an index into the ascending `rows` to an encoded image, read when it is called."""
        values = self.column(column)

        def encoded(index: int) -> bytes | None:
            value = values[int(rows[index])].as_py()
            content: bytes | None = value[BYTES] if isinstance(value, dict) else value
            return self._file(value[PATH]) if content is None and value and value.get(PATH) else content

        return encoded

    def each_image(self, column: str) -> Iterator[Callable[[], bytes | None]]:
        """Yield for each row a function that returns its encoded image."""
        encoded = self.images(column, np.arange(len(self)))
        yield from (partial(encoded, row) for row in range(len(self)))

    def _file(self, name: str) -> bytes:
        """Return the bytes of the file that a row names; raises ImageFileError unless it belongs to the dataset."""
        file = (self.roots[0] / name).resolve()
        if not any(file.is_relative_to(root.resolve()) for root in self.roots):
            raise ImageFileError(self.where, f"an image in {name}", "one in the dataset's own folder", self.advice)
        if not file.is_file():
            raise ImageFileError(self.where, f"no file {name}", "the image file that a row names", self.advice)
        return file.read_bytes()


def _selected_split(dataset: Any, address: DatasetAddress, split: str | None) -> Any:
    """Return the split with that name; None selects all rows of a dataset without splits."""
    splits = [str(name) for name in dataset] if isinstance(dataset, dict) else []
    if split is None and not splits:
        return dataset
    if split in splits:
        return dataset[split]
    found = f"splits {', '.join(splits)}" if splits else "one dataset without splits"
    if split is None:
        advice = "Name it as the source's `split` in params.yaml. It is `train` for labelled images."
        raise ImageFileError(address.dataset, found, "one of them", advice)
    hint = nearest_name(split, splits) if splits else "save a DatasetDict, or set `split` or `train` to null"
    raise ImageFileError(address.dataset, found, f"one called {split!r}", f"Correct params.yaml: {hint}")


def _roots(address: DatasetAddress) -> tuple[Path, ...]:
    """Return the folders that images of a dataset may be in; file names in its rows are relative to the first.

    The files of a snapshot in the hub's cache are links into a folder `blobs` beside all snapshots.
    """
    from datasets.config import HF_DATASETS_CACHE
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(address.dataset) if address.revision is None else Path(HF_HUB_CACHE)
    snapshots = folder.resolve().parent
    blobs = [snapshots.parent / "blobs"] if snapshots.name == "snapshots" else []
    return folder, Path(HF_DATASETS_CACHE), *blobs
