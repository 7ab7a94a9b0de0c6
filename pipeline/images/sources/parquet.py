"""Images in Parquet files: a labelled training and test file, or one file of OOD images.

DVC identifies a file by its path. It runs a stage again when a source names another file, but not when the file has new
content. In that case delete what a killed run left in `.work`, and run `dvc repro --force`.
"""

from os.path import normpath
from pathlib import Path
from typing import Literal

from pipeline.images.image_set import ImageSet
from pipeline.images.sources.base import ImageLocation
from pipeline.images.sources.table import LabelledTable, TableImages, labelled, unlabelled
from pipeline.schema.section import Name


class ParquetSource(LabelledTable):
    """Labelled images in two Parquet files, whose paths start at the project's root."""

    kind: Literal["parquet"]

    def locations(self) -> dict[str, ImageLocation]:
        """Return the two files."""
        return {"train": ImageLocation(normpath(self.train)), "test": ImageLocation(normpath(self.test))}

    def open(self, part: str) -> ImageSet:
        """Return a part of the training or the test file, as `labelled` defines it."""
        from pipeline.images.parquet_file import ParquetFile

        return labelled(ParquetFile(Path(self.table_of(part))), self, part)


class ParquetImagesSource(TableImages):
    """OOD images in one Parquet file."""

    kind: Literal["parquet_images"]
    file: Name

    def locations(self) -> dict[str, ImageLocation]:
        """Return the file."""
        return {"file": ImageLocation(normpath(self.file))}

    def open(self, part: str) -> ImageSet:  # noqa: ARG002  # there is one part only
        """Return images of the file in their order, all labelled OOD."""
        from pipeline.images.parquet_file import ParquetFile

        return unlabelled(ParquetFile(Path(self.file)), self)
