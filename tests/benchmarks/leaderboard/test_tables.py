"""Tables hold the images they say: gray and small where asked for, those of a list or all others."""

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
from pipeline.runtime.errors import PipelineError

ROOT = Path()


def opened(file, images=None):
    source = {"kind": "parquet_images", "file": str(file), "image": "image", "images": images, "seed": 0}
    found = ParquetImagesSource.model_validate(source).open("all")
    return [found.read(index) for index in range(len(found))]


def encoded(pixels):
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue()}


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    rows = [encoded(rng.integers(0, 256, (32, 32, 3), np.uint8)) | {"path": f"{row}.png"} for row in range(30)]
    pq.write_table(pa.table({"image": pa.array(rows)}), "pictures.parquet")
    return "pictures.parquet"


def test_pictures_are_made_gray_and_small(pictures):
    write(table := Table("small", pictures, images=7, gray_pixels=8), ROOT)
    found = opened(table.file)
    assert [(picture.mode, picture.size) for picture in found] == [("RGB", (8, 8))] * 7
    assert all(np.ptp(np.asarray(picture), axis=2).max() == 0 for picture in found)


@pytest.fixture
def lists(pictures):
    """Write a list of some pictures, and one with a path that is none."""
    Path("some.txt").write_text("3.png\n17.png\n0.png\n")
    Path("other.txt").write_text("3.png\nelsewhere.png\n")
    return pictures


def test_a_list_takes_its_pictures_or_leaves_them_out(lists):
    every = [content_hash(one) for one in opened(lists)]
    write(only := Table("few", lists, only="some.txt"), ROOT)
    write(others := Table("few", lists, left_out="some.txt"), ROOT)
    found, rest = ([content_hash(one) for one in opened(table.file)] for table in (only, others))
    assert found == [every[index] for index in (0, 3, 17)]
    assert rest == [one for one in every if one not in found]


def test_a_list_of_other_pictures_is_refused_and_no_table_is_written(lists):
    with pytest.raises(PipelineError, match=r"other.txt: found 'elsewhere.png', wanted paths of images in pictures"):
        write(table := Table("few", lists, only="other.txt"), ROOT)
    assert not table.file.exists()


def test_all_digits_are_there():
    write(table := Table("digits", DIGITS), ROOT)
    assert len(opened(table.file)) == 1797


def test_other_settings_are_another_file():
    tables = [Table("a", "b"), Table("a", "b", 5), Table("a", "b", 5, 8), Table("a", "b", 9)]
    tables += [Table("a", "b", only="c"), Table("a", "b", left_out="c"), Table("a", "b", only="d")]
    assert len({table.file for table in tables}) == len(tables)


def test_a_table_that_is_there_is_kept(pictures):
    write(table := Table("small", pictures, images=7), ROOT)
    before = table.file.stat().st_mtime_ns
    write(table, ROOT)
    assert table.file.stat().st_mtime_ns == before


def test_drawn_pictures_are_there_none_twice():
    write(table := Table("drawn", DRAWN, images=30, gray_pixels=8), ROOT)
    found = opened(table.file)
    assert {picture.size for picture in found} == {(8, 8)}
    assert len({content_hash(picture) for picture in found}) == 30
