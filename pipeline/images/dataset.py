"""Images in what the library `datasets` opens: a commit on the hub, a folder of files, or one that it saved.

Nothing that comes with a dataset is run, and no file outside of its folder or of the library's cache is read. The
library copies Parquet files into its cache once, as Arrow files, and maps those into memory; only the images that are
asked for are read. What is below a folder is known by its path, as a Parquet file is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.config import nearest_name
from pipeline.errors import ImageFileError
from pipeline.images.image_set import ImageSet
from pipeline.images.open_dataset import advice, open_dataset, words
from pipeline.images.split import Rows
from pipeline.images.table import BYTES, labelled, unlabelled
from pipeline.images.table_params import DatasetAddress, DatasetImagesSource, DatasetSource

PATH = "path"
"""Field of a file's name in a column of structs, for images whose bytes are not in the table."""


def labelled_dataset(source: DatasetSource, part: str) -> ImageSet:
    """Return one part of the training or the test split, as `labelled` says."""
    table = _Split(source, source.table_of(part))
    _require_names(table, source)
    return labelled(table, source, part)


def dataset_images(source: DatasetImagesSource) -> ImageSet:
    """Return images of a split, in its order and none of them of an ID class."""
    return unlabelled(_Split(source, source.split), source)


class _Split:
    """A split of a dataset as a Table."""

    def __init__(self, address: DatasetAddress, split: str | None) -> None:
        self.where = address.dataset if split is None else f"{address.dataset}, split {split}"
        self.data = _chosen(open_dataset(address), address, split).with_format("arrow")
        self.schema = self.data.features.arrow_schema
        self.roots, self.advice = _roots(address), advice(address)

    def __len__(self) -> int:
        return len(self.data)

    def column(self, name: str) -> Any:
        """Return a column as it lies in the file, mapped and not loaded; of a damaged one nothing is believed."""
        try:
            column = self.data.select_columns([name])[:].column(0)
            column.validate(full=True)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise ImageFileError(self.where, words(error), "a column that is whole", self.advice) from error
        return column

    def images(self, column: str, rows: Rows) -> Callable[[int], bytes | None]:
        """Return where the images of ascending rows are; each is read when it is asked for."""
        values = self.column(column)

        def encoded(index: int) -> bytes | None:
            found = values[int(rows[index])].as_py()
            content: bytes | None = found[BYTES] if isinstance(found, dict) else found
            return self._file(found[PATH]) if content is None and found and found.get(PATH) else content

        return encoded

    def _file(self, name: str) -> bytes:
        """Return the bytes of a file that a row names, which has to be the dataset's own."""
        file = (self.roots[0] / name).resolve()
        if not any(file.is_relative_to(root.resolve()) for root in self.roots):
            raise ImageFileError(self.where, f"an image in {name}", "one in the dataset's own folder", self.advice)
        if not file.is_file():
            raise ImageFileError(self.where, f"no file {name}", "the image that a row says is there", self.advice)
        return file.read_bytes()


def _chosen(found: Any, address: DatasetAddress, split: str | None) -> Any:
    """Return the split of that name; None stands for all of a dataset that has no splits."""
    splits = [str(name) for name in found] if isinstance(found, dict) else []
    if split is None and not splits:
        return found
    if split in splits:
        return found[split]
    names = f"splits {', '.join(splits)}" if splits else "one dataset without splits"
    if split is None:
        raise ImageFileError(address.dataset, names, "one of them", "Name it as the source's `split` in params.yaml.")
    hint = nearest_name(split, splits) if splits else "save a DatasetDict, or take `split` null for OOD images"
    raise ImageFileError(address.dataset, names, f"one called {split!r}", f"Correct params.yaml: {hint}")


def _roots(address: DatasetAddress) -> tuple[Path, ...]:
    """Return the folders that images of a dataset may lie in; names in its rows start at the first."""
    from datasets.config import HF_DATASETS_CACHE
    from huggingface_hub.constants import HF_HUB_CACHE

    own = Path(address.dataset) if address.revision is None else Path(HF_HUB_CACHE)
    return own, Path(HF_DATASETS_CACHE)


def _require_names(table: _Split, source: DatasetSource) -> None:
    """Raise ImageFileError where the dataset itself has other names for its classes, or has them in another order."""
    names = tuple(getattr(table.data.features.get(source.label), "names", source.class_names))
    if names == source.class_names:
        return
    pairs = zip(names, source.class_names, strict=False)
    first = next((label for label, (own, given) in enumerate(pairs) if own != given), None)
    if first is None:
        found, wanted = f"{len(names)} names of classes in column {source.label!r}", f"{len(source.class_names)}"
    else:
        found = f"class {first} called {names[first]!r} in column {source.label!r}"
        wanted = f"{source.class_names[first]!r}"
    choice = "Take the dataset's own names, in its order, or name another column as `label`."
    raise ImageFileError(table.where, found, f"{wanted}, as class_names in params.yaml say", choice)
