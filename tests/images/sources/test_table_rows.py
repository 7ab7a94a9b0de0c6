"""One table is split as a folder is, and its bad rows are all named, or skipped and counted."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.images import parquet_file
from pipeline.images.image_set import content_hash
from pipeline.params.data import DataParams
from pipeline.runtime.errors import ImageFileError, ParamsError
from tests.helpers.make import changed, parquet_data, section
from tests.images.hugging import as_saved, dataset_data, write_files
from tests.images.sources.test_parquet import STRUCT, encoded, value_of, write

PARTS = ("id_train", "id_validation", "id_test", "held_out")
BAD = {3: b"text", 8: None, 20: encoded(1)[:40], 41: b"text"}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The `data` section over one labelled file of 240 rows; a fifth of each ID class is for test."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return changed(parquet_data(tmp_path), sources__animals__test=0.2)


def open_set(data, name, **changes):
    return section(DataParams, changed(data, **changes)).open(name)


def values(images):
    return [value_of(images.read(index)) for index in range(len(images))]


def message(data, name="id_train", **changes):
    with pytest.raises(ImageFileError) as caught:
        values(open_set(data, name, **changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_bad(folder):
    images = [BAD.get(row, encoded(row)) for row in range(240)]
    return write(folder / "train.parquet", [0, 1, 2, 3] * 60, images=images)


def test_one_file_has_all_parts(data):
    rows = {part: values(open_set(data, part)) for part in PARTS}
    assert sorted(row for part in rows.values() for row in part) == list(range(240))
    assert rows["held_out"] == [row for row in range(240) if row % 4 == 1]
    for part, each in (("id_train", 36), ("id_validation", 12), ("id_test", 12)):
        assert np.bincount(open_set(data, part).labels).tolist() == [each] * 3


def test_a_saved_dataset_without_splits_has_the_same_parts_as_the_file(data, tmp_path):
    as_saved(tmp_path)
    saved = {"sources__animals__dataset": f"{tmp_path}/animals/train", "sources__animals__train": None}
    alone = dataset_data(tmp_path, sources__animals__test=0.2, **saved)
    split = dataset_data(tmp_path, sources__animals__test=0.2)
    for part in PARTS:
        assert values(open_set(alone, part)) == values(open_set(split, part)) == values(open_set(data, part))


def test_copies_are_in_one_part_and_a_picture_of_two_classes_in_none(data, tmp_path):
    shown = [row % 60 // 4 * 4 + row % 4 for row in range(240)]  # each picture four times
    write(tmp_path / "train.parquet", [0, 1, 2, 3] * 60, images=[encoded(one) for one in shown])
    seen = [{*values(open_set(data, part))} for part in PARTS]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 60
    write(tmp_path / "train.parquet", [0, 1, 2, 3] * 60, images=[encoded(row // 239 * 4 or row) for row in range(240)])
    assert "found shown in two classes in rows 4, 239 (the first is 0) of column 'image'" in message(data)


def test_all_bad_rows_are_named_at_once(data, tmp_path):
    write_bad(tmp_path)
    for test in (0.2, f"{tmp_path}/test.parquet"):  # looked through before, or when the first is met
        found = message(data, sources__animals__test=test, sources__animals__held_out=[], sets={
            name: chosen for name, chosen in data["sets"].items() if name != "held_out"
        }, sources__animals__validation=0.01 if test == 0.2 else 0.02)  # fmt: skip
        assert "no image (none of PNG, JPEG" in found
        assert ") in rows 3, 41; no bytes in row 8; damaged (" in found
        assert "set the source's `on_bad_image` to skip" in found


@pytest.mark.parametrize("test", [0.2, "test.parquet"])
def test_bad_rows_are_skipped_and_counted(data, tmp_path, test):
    write_bad(tmp_path)
    changes = {"sources__animals__on_bad_image": "skip", "sources__animals__test": test}
    sets = {part: open_set(data, part, **changes) for part in PARTS}
    rows = [row for images in sets.values() for row in values(images)]
    assert not {*BAD} & {*rows}
    files = sets["id_train"].files
    assert (files["unit"], files["skipped"]) == ("rows", {"damaged": 1, "no bytes": 1, "no image": 2})
    assert files["found"] == sum(files["parts"].values()) + 4 == (240 if test == 0.2 else 320)
    for part, images in sets.items():
        assert files["parts"][part.removeprefix("id_")] == len(images)
        assert images.files["digest"] == files["digest"]
    where = f"{tmp_path}/train.parquet"
    assert files["skipped_files"]["no image"] == [f"{where}, row 3", f"{where}, row 41"]


def test_rows_without_a_label_are_skipped_but_an_unknown_label_is_not(data, tmp_path):
    write(tmp_path / "train.parquet", [0, 1, 2, 3] * 10 + [None, -1])
    skip = {"sources__animals__on_bad_image": "skip"}
    assert open_set(data, "id_train", **skip).files["skipped"] == {"no label": 2}
    write(tmp_path / "train.parquet", [0, 1, 2, 3] * 10 + [4, None])
    assert "found label 4 in row 40" in message(data, **skip)


def test_bad_rows_of_other_images_are_skipped(data, tmp_path):
    write(tmp_path / "plants.parquet", [0] * 3, images=[encoded(0), b"text", encoded(2)])
    images = open_set(data, "plants", sources__plants__on_bad_image="skip")
    assert (values(images), images.files["skipped"]) == ([0, 2], {"no image": 1})


def test_a_table_is_looked_through_once(data, monkeypatch):
    first = values(open_set(data, "id_test"))
    monkeypatch.setattr(parquet_file.ParquetFile, "each_image", lambda *_: pytest.fail("looked through again"))
    assert values(open_set(data, "id_test")) == first
    with pytest.raises(BaseException, match="looked through again"):
        open_set(data, "id_test", sources__animals__largest_pixels=1000)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"test": 1.5}, "wanted the name of a table, or a share between 0 and 1"),
        ({"test": ""}, "wanted the name of a table, or a share between 0 and 1"),
        ({"test": 0.8}, "validation 0.2 and test 0.8 leave less than a tenth for training"),
        ({"train": None}, "sources.animals.train"),
    ],
)
def test_impossible_shares_are_named(data, changes, wanted):
    with pytest.raises(ParamsError) as caught:
        open_set(data, "id_train", **{f"sources__animals__{key}": value for key, value in changes.items()})
    assert wanted in str(caught.value)


def test_a_class_too_small_for_the_shares_is_named(data, tmp_path):
    write(tmp_path / "train.parquet", [0, 1, 2] * 10 + [3, 3])
    assert "found 2 images of class 'dog' (label 3), wanted enough for test to take 0.2" in message(data)


@pytest.mark.parametrize("name", ["shards", "shards/*.parquet", "shards/train-*-of-00002.parquet"])
def test_several_files_get_a_hint(data, tmp_path, name):
    (tmp_path / "shards").mkdir()
    write(tmp_path / "shards/train-00000-of-00002.parquet", [0])
    found = message(data, sources__animals__train=name)
    assert "with 1 Parquet files, wanted one Parquet file. For a table in several files take kind 'dataset'" in found
    assert "`dataset: shards`" in found


@pytest.mark.slow
def test_rows_beyond_what_pyarrow_holds_at_once_are_read(tmp_path):
    large = [{"bytes": bytes([row % 251]) * 2**21, "path": None} for row in range(100)]
    table = pa.table({"image": pa.array(large, STRUCT)})
    with pq.ParquetWriter(tmp_path / "large.parquet", table.schema, compression="zstd", use_dictionary=False) as out:
        out.write_table(pa.concat_tables([table] * 11), row_group_size=1100)
    images = parquet_file.ParquetFile(tmp_path / "large.parquet").images("image", np.array([0, 99, 1099]))
    assert [images(index)[:1] for index in range(3)] == [b"\0", b"\x63", b"\x63"]


def test_large_rows_are_read_a_few_at_a_time_and_one_by_one_if_that_is_refused(data, tmp_path, monkeypatch):
    wanted, read, sizes = values(open_set(data, "held_out")), pq.ParquetFile.iter_batches, []

    def limited(self, rows, groups, columns):
        sizes.append(rows)
        for number, batch in enumerate(read(self, rows, groups, columns)):
            if rows > 1 and number:
                raise pa.ArrowNotImplementedError("Nested data conversions not implemented for chunked array outputs")
            yield batch

    monkeypatch.setattr(parquet_file, "READ_ROW_BYTES", 500)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", limited)
    (tmp_path / ".work/images").rename(tmp_path / "no cache")
    assert values(open_set(data, "held_out")) == wanted
    assert 1 in sizes
    assert max(sizes) < 20


def test_what_pyarrow_does_not_do_is_no_damage(tmp_path, monkeypatch):
    path = write(tmp_path / "train.parquet", [0])

    def refuse(*_, **__):
        raise pa.ArrowNotImplementedError("LZO is not supported")

    table = parquet_file.ParquetFile(path)
    monkeypatch.setattr(pq.ParquetFile, "read", refuse)
    with pytest.raises(ImageFileError, match="found a file that pyarrow does not read .LZO is not supported."):
        table.column("label")


def test_the_content_that_splits_a_table_is_that_of_folders(data):
    images = open_set(data, "id_test")
    assert len({content_hash(images.read(index)) for index in range(len(images))}) == len(images)
