"""Images in a dataset of the library `datasets`: a commit on the hub, a folder of files, or a saved dataset."""

from os.path import normpath
from typing import Any, Literal, Self

from pydantic import model_validator

from pipeline.images.hub_dataset import DatasetAddress
from pipeline.images.image_set import ImageSet
from pipeline.images.sources.base import ImageLocation
from pipeline.images.sources.table import LabelledTable, TableImages
from pipeline.images.sources.table_rows import labelled, unlabelled
from pipeline.images.table import Table
from pipeline.runtime.errors import ImageFileError
from pipeline.schema.section import Name
from pipeline.schema.spelling import composed


class DatasetSource(DatasetAddress, LabelledTable):
    """Labelled images in one or two splits of a dataset."""

    kind: Literal["dataset"]

    @model_validator(mode="after")
    def _two_tables_are_two_splits(self) -> Self:
        if self.train is None and isinstance(self.test, str):
            raise ValueError(f"train is null, for a dataset without splits, and test is {self.test!r}; wanted a share")
        return self

    def locations(self) -> dict[str, ImageLocation]:
        """Return the splits."""
        names = zip(("train", "test"), self.table_names(), strict=False)
        return {parameter: _location(self, name) for parameter, name in names}

    def open_table(self, name: str | None) -> Table:
        """Open a split; raises ImageFileError when it has other class names."""
        from pipeline.images.dataset_split import DatasetSplit

        table = DatasetSplit(self, name)
        _require_names(table, self)
        return table

    def open(self, part: str) -> ImageSet:
        """Return a part of a split, as `labelled` defines it."""
        return labelled(self, part)


class DatasetImagesSource(DatasetAddress, TableImages):
    """OOD images in one split of a dataset."""

    kind: Literal["dataset_images"]
    split: Name | None
    """null: the dataset was saved without splits."""

    def locations(self) -> dict[str, ImageLocation]:
        """Return the split."""
        return {"split": _location(self, self.split)}

    def open(self, part: str) -> ImageSet:  # noqa: ARG002  # there is one part only
        """Return images of the split in their order, all labelled OOD."""
        from pipeline.images.dataset_split import DatasetSplit

        return unlabelled(DatasetSplit(self, self.split), self)


def _location(address: DatasetAddress, split: str | None) -> ImageLocation:
    path = normpath(address.dataset) if address.revision is None else f"@{address.dataset}"
    return ImageLocation(path, (address.config, address.revision, split))


def _require_names(table: Any, source: DatasetSource) -> None:
    """Raise ImageFileError when the dataset has other class names than the source, or in another order."""
    names = tuple(map(composed, getattr(table.data.features.get(source.label), "names", source.class_names)))
    if names == source.class_names:
        return
    pairs = zip(names, source.class_names, strict=False)
    first = next((label for label, (name, given) in enumerate(pairs) if name != given), None)
    if first is None:
        found, wanted = f"{len(names)} names of classes in column {source.label!r}", f"{len(source.class_names)}"
    else:
        found = f"class {first} called {names[first]!r} in column {source.label!r}"
        wanted = f"{source.class_names[first]!r}"
    advice = "Take the dataset's own names, in its order, or name another column as `label`."
    raise ImageFileError(table.where, found, f"{wanted}, as class_names in params.yaml say", advice)
