"""Tables hold the images they say: gray and small where asked for, and none that another set takes."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks.leaderboard.tables import DIGITS, DRAWN, Table, write
from pipeline.images.image_set import content_hash
from pipeline.images.sources.parquet import ParquetImagesSource

HERE = Path()


def opened(file, images=None):
    source = {"kind": "parquet_images", "file": str(file), "image": "image", "images": images, "seed": 0}
    found = ParquetImagesSource.model_validate(source).open("all")
    return [found.read(index) for index in range(len(found))]


def encoded(picture):
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return {"bytes": buffer.getvalue()}


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    rows = [encoded(Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))) for _ in range(30)]
    pq.write_table(pa.table({"image": pa.array(rows)}), "pictures.parquet")
    return "pictures.parquet"


def test_pictures_are_made_gray_and_small(pictures):
    write(table := Table("small", pictures, images=7, gray_pixels=8), HERE)
    found = opened(table.file)
    assert [(picture.mode, picture.size) for picture in found] == [("RGB", (8, 8))] * 7
    assert all(np.ptp(np.asarray(picture), axis=2).max() == 0 for picture in found)


def test_pictures_that_another_set_takes_are_left_out(pictures):
    write(table := Table("others", pictures, other_than=12), HERE)
    rest, taken = ({content_hash(one) for one in found} for found in (opened(table.file), opened(pictures, 12)))
    assert (len(rest), len(taken), rest & taken) == (18, 12, set())


def test_a_limit_holds_for_what_is_left(pictures):
    write(table := Table("few", pictures, images=5, other_than=12), HERE)
    assert len(opened(table.file)) == 5


def test_all_digits_are_there():
    write(table := Table("digits", DIGITS), HERE)
    assert len(opened(table.file)) == 1797


def test_other_settings_are_another_file():
    tables = [Table("a", "b"), Table("a", "b", 5), Table("a", "b", 5, 8), Table("a", "b", 5, 8, 9), Table("a", "b", 9)]
    assert len({table.file for table in tables}) == len(tables)


def test_a_table_that_is_there_is_kept(pictures):
    write(table := Table("small", pictures, images=7), HERE)
    before = table.file.stat().st_mtime_ns
    write(table, HERE)
    assert table.file.stat().st_mtime_ns == before


def test_drawn_pictures_are_there_none_twice():
    write(table := Table("drawn", DRAWN, images=30, gray_pixels=8), HERE)
    found = opened(table.file)
    assert {picture.size for picture in found} == {(8, 8)}
    assert len({content_hash(picture) for picture in found}) == 30
