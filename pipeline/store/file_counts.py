"""The account of files or rows in the provenance of a store of images, as a reader of a foreign store may expect it."""

from pydantic import BaseModel, ConfigDict

from pipeline.runtime.manifest import Size


class FileCounts(BaseModel):
    """How many files a source has, by what became of them; other fields may be there too."""

    model_config = ConfigDict(frozen=True, strict=True)

    digest: str
    """Of the names and contents of all files; equal for sets of the same state of a folder."""
    found: Size
    parts: dict[str, Size]
    repeated: Size
    skipped: dict[str, Size]
    """By reason."""
    skipped_files: dict[str, list[str]] = {}
    faint: Size = 0
    unit: str = "files"
