"""Tables of images made for a task: what no source of params.yaml can express, as a Parquet file of PNG images."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.leaderboard.drawn import drawn_pictures
from pipeline.images.image_set import ImageSet
from pipeline.images.sources.parquet import ParquetImagesSource
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import write_bytes

FOLDER = Path("data/leaderboard")
DIGITS, DRAWN = "digits", "drawn"
"""Origins of a table that are no file: scikit-learn's digits, and pictures drawn by a program."""


@dataclass(frozen=True)
class Table:
    """Images of a Parquet file, of scikit-learn or of a program, changed to look like those of a task."""

    name: str
    origin: str
    """Path of the Parquet file from the project's root, DIGITS or DRAWN."""
    images: int | None = None
    """At most so many, drawn with seed 0; None: all that there are, or all that a list chooses."""
    gray_pixels: int | None = None
    """Made gray and reduced to this side, so that neither colour nor sharpness gives anything away; None: as is."""
    only: str | None = None
    """A text file with the paths of the images that are taken, a line each; None: all."""
    left_out: str | None = None
    """One of those that are left out."""

    @property
    def file(self) -> Path:
        """Where it lies in a project; another name for other settings, as DVC knows a file by its name."""
        changes = {"": self.images, "px-gray": self.gray_pixels}
        words = [self.name, *(f"{value}{unit}" for unit, value in changes.items() if value)]
        words += [f"{kind}-{Path(name).stem}" for kind, name in (("only", self.only), ("not", self.left_out)) if name]
        return FOLDER / f"{'-'.join(words)}.parquet"

    def source(self) -> dict[str, Any]:
        """Return the source of params.yaml that reads it."""
        return {"kind": "parquet_images", "file": self.file.as_posix(), "image": "image", "images": None, "seed": 0}


def write(table: Table, project: Path) -> None:
    """Write the file of a table into a project, unless it is there."""
    path = project / table.file
    if path.is_file():
        return
    encoded = [_png(_changed(picture, table)) for picture in _pictures(table, project)]
    images = pa.array([{"bytes": content} for content in encoded], pa.struct([("bytes", pa.binary())]))
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": images}), buffer, write_page_checksum=True)
    write_bytes(path, memoryview(buffer.getvalue()))


def _pictures(table: Table, project: Path) -> Iterator[Image.Image]:
    if table.origin == DRAWN:
        yield from drawn_pictures(table.images or 0, seed=0)
        return
    if table.origin == DIGITS:
        from sklearn.datasets import load_digits

        scans = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
        yield from map(Image.fromarray, scans)
        return
    if table.only or table.left_out:
        yield from _listed(table, project)
        return
    drawn = _drawn(project / table.origin, table.images)
    yield from (drawn.read(index) for index in range(len(drawn)))


def _listed(table: Table, project: Path) -> Iterator[Image.Image]:
    """Yield the pictures that a list of paths takes, or all others; raises PipelineError where it has another path."""
    file = project / (table.only or str(table.left_out))
    named = set(file.read_text(encoding="utf-8").splitlines())
    rows = pq.read_table(project / table.origin, columns=["image"])["image"].to_pylist()
    if missing := named - {row["path"] for row in rows}:
        raise PipelineError(
            f"{file}: found {min(missing)!r}, wanted paths of images in {project / table.origin} alone."
        )
    yield from (Image.open(BytesIO(row["bytes"])) for row in rows if (row["path"] in named) == bool(table.only))


def _drawn(file: Path, images: int | None) -> ImageSet:
    source = {"kind": "parquet_images", "file": str(file), "image": "image", "images": images, "seed": 0}
    return ParquetImagesSource.model_validate(source).open("all")


def _changed(picture: Image.Image, table: Table) -> Image.Image:
    if table.gray_pixels is None:
        return picture
    side = table.gray_pixels
    return picture.convert("L").resize((side, side), Image.Resampling.BOX)  # as patches of photographs are reduced


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
