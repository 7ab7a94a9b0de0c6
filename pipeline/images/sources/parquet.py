"""Images in Parquet files: labelled ones in one or two files, or one file of OOD images.

DVC identifies a file by its path. It runs a stage again when a source names another file, but not when the file has new
content. In that case delete what a killed run left in `.work`, and run `dvc repro --force`.
"""

from os.path import normpath
from pathlib import Path
from typing import Literal

from pipeline.images.image_set import ImageSet
from pipeline.images.sources.base import ImageLocation
from pipeline.images.sources.table import LabelledTable, TableImages
from pipeline.images.sources.table_rows import labelled, unlabelled
from pipeline.images.table import Table
from pipeline.schema.section import Name


class ParquetSource(LabelledTable):
    """Labelled images in one or two Parquet files, whose paths start at the project's root."""

    kind: Literal["parquet"]
    train: Name

    def locations(self) -> dict[str, ImageLocation]:
        """Return the files."""
        names = zip(("train", "test"), self.table_names(), strict=False)
        return {parameter: ImageLocation(normpath(str(name))) for parameter, name in names}

    def open_table(self, name: str | None) -> Table:
        """Open a file."""
        from pipeline.images.parquet_file import ParquetFile

        return ParquetFile(Path(str(name)))

    def open(self, part: str) -> ImageSet:
        """Return a part of a file, as `labelled` defines it."""
        return labelled(self, part)


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
