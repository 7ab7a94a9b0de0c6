"""Datasets of Hugging Face: the same images as from Parquet files, nothing run, nothing read elsewhere."""

import shutil
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest

from pipeline.params.data import DataParams
from pipeline.runtime.errors import ImageFileError
from tests.helpers.make import PARQUET_SETS, changed, parquet_data, section
from tests.images.hugging import NAMES, as_files, as_saved, dataset_data, write_files
from tests.images.sources.test_parquet import STRUCT, encoded, value_of, write

LAYOUTS = [as_files, as_saved]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Write the Parquet files, and keep the library's cache in the test's own folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    write_files(tmp_path)
    yield tmp_path
    datasets.enable_progress_bars()


def open_set(data, name):
    return section(DataParams, data).open(name)


def told(images):
    """Return all that a set says: its labels, its classes, and its pixels in their order."""
    shown = [images.read(index) for index in range(len(images))]
    return images.labels.tolist(), images.class_names, [(one.mode, one.tobytes()) for one in shown]


def message(data, name="id_test"):
    with pytest.raises(ImageFileError) as caught:
        told(open_set(data, name))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rows(folder, table):
    """Save a dataset without splits in the folder `plants`."""
    shutil.rmtree(folder / "plants", ignore_errors=True)
    datasets.Dataset(pa.table(table)).save_to_disk(folder / "plants")
    return dataset_data(folder, sources__plants__split=None)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("few", [False, True])
def test_the_same_rows_as_a_dataset_or_as_parquet_files_are_the_same_sets(folder, layout, few):
    layout(folder)
    limits = {"train": 31, "validation": 7, "test": 10, "held_out": 3}
    changes = {"sources__animals__limits": limits, "sources__plants__images": 9, "sources__animals__seed": 5}
    changes = changes if few else {}
    for name in PARQUET_SETS:
        found, wanted = (open_set(changed(make(folder), **changes), name) for make in (dataset_data, parquet_data))
        assert told(found) == told(wanted)


def test_a_folder_of_image_files_is_read_in_place(folder):
    for name in ("ant", "bee"):
        (folder / "plants" / name).mkdir(parents=True)
        (folder / "plants" / name / "1.png").write_bytes(encoded(len(name) + ord(name[0])))
    images = open_set(dataset_data(folder, sources__plants__split="train"), "plants")
    assert [value_of(images.read(index)) for index in (0, 1)] == [3 + ord("a"), 3 + ord("b")]


def test_files_that_changed_under_the_same_name_are_read_anew(folder):
    as_files(folder)
    before = told(open_set(dataset_data(folder), "plants"))
    write(folder / "plants/test.parquet", [-1] * 50, first=3000)
    assert told(open_set(dataset_data(folder), "plants")) != before


def test_images_are_mapped_and_not_loaded(folder):
    image = np.random.default_rng(0).bytes(100_000)
    data = rows(folder, {"image": pa.array([{"bytes": image, "path": None}] * 50, STRUCT)})
    before = pa.total_allocated_bytes()
    images = open_set(data, "plants")
    assert len(images) == 50
    assert pa.total_allocated_bytes() - before < 500_000


def test_opening_prints_nothing_and_leaves_the_library_as_it_was(folder, capfd):
    as_files(folder)
    datasets.enable_progress_bars()
    open_set(dataset_data(folder), "id_test")
    assert capfd.readouterr() == ("", "")
    assert not datasets.are_progress_bars_disabled()
    assert datasets.logging.get_verbosity() == datasets.logging.WARNING


def test_a_script_that_lies_beside_the_data_is_never_run(folder):
    as_files(folder)
    for name in ("animals.py", "other.py"):
        (folder / "animals" / name).write_text("open('was_run', 'w')\n")
    found = message(dataset_data(folder))
    assert (
        "found nothing to open (RuntimeError: Dataset scripts are no longer supported, but found animals.py)" in found
    )
    (folder / "animals/animals.py").unlink()
    assert len(open_set(dataset_data(folder), "id_test")) == 60
    assert not Path("was_run").exists()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"dataset": "nowhere"}, "nowhere: found no folder, wanted a dataset in a folder. Put it there, or correct"),
        ({"config": "plain"}, "nothing to open (ValueError: BuilderConfig 'plain' not found. Available: ['default'])"),
        ({"test": "tset"}, "animals: found splits train, test, wanted one called 'tset'. Correct params.yaml: did you"),
        ({"image": "img"}, "animals, split test: found columns image, label, wanted one called 'img'. Correct the sou"),
        ({"label": "image"}, "split test: found column 'image' of type struct<bytes: binary, path: string>, wanted in"),
        ({"image": "label"}, "found column 'label' of type int64, wanted binary, or a struct with a binary field"),
        ({"class_names": ["ant", "bee"], "held_out": []}, "found label 3 in row 0 (the first is 0), wanted 0 to 1 in"),
    ],
)
def test_parameters_that_do_not_fit_the_dataset_are_refused(folder, changes, wanted):
    as_files(folder)
    data = dataset_data(folder, **{f"sources__animals__{name}": value for name, value in changes.items()})
    sets = {name: chosen for name, chosen in PARQUET_SETS.items() if name != "held_out"}
    assert wanted in message(changed(data, sets=sets))


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["ant", "bee", "dog", "cow"], "found class 2 called 'cow' in column 'label', wanted 'dog', as class_names in"),
        ([*NAMES, "emu"], "found 4 names of classes in column 'label', wanted 5, as class_names in params.yaml say"),
    ],
)
def test_other_names_than_the_datasets_own_are_refused(folder, names, wanted):
    as_saved(folder)
    assert wanted in message(dataset_data(folder, sources__animals__class_names=names))


def test_a_config_of_a_saved_dataset_is_refused(folder):
    as_saved(folder)
    wanted = "animals: found config 'plain', and a dataset as save_to_disk writes it, wanted config null"
    assert wanted in message(dataset_data(folder, sources__animals__config="plain"))


def test_splits_are_named_where_there_are_some_and_only_there(folder):
    as_saved(folder)
    wanted = "plants: found splits test, wanted one of them. Name it as the source's `split` in params.yaml."
    assert wanted in message(dataset_data(folder, sources__plants__split=None), "plants")
    alone = rows(folder, {"image": pa.array([{"bytes": encoded(7), "path": None}], STRUCT)})
    assert value_of(open_set(alone, "plants").read(0)) == 7
    wanted = (
        "plants: found one dataset without splits, wanted one called 'test'. Correct params.yaml: save a DatasetDict"
    )
    assert wanted in message(changed(alone, sources__plants__split="test"), "plants")


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (None, "plants: found no bytes in row 1 (the first is 0) of column 'image', wanted an image (PNG"),
        ({"bytes": None, "path": None}, "found no bytes in row 1"),
        ({"bytes": b"text", "path": None}, "found no image (none of PNG, JPEG"),
        ({"bytes": None, "path": "gone.png"}, "found no file gone.png, wanted the image file that a row names"),
        ({"bytes": None, "path": "../out.png"}, "found an image in ../out.png, wanted one in the dataset's own folder"),
        ({"bytes": None, "path": "/etc/passwd"}, "found an image in /etc/passwd, wanted one in the dataset's own fol"),
        ({"bytes": None, "path": "link.png"}, "found an image in link.png, wanted one in the dataset's own folder"),
    ],
)
def test_a_row_without_an_image_of_the_datasets_own_is_named(folder, row, wanted):
    (folder / "out.png").write_bytes(encoded(5))
    data = rows(folder, {"image": pa.array([{"bytes": encoded(0), "path": None}, row], STRUCT)})
    (folder / "plants/link.png").symlink_to(folder / "out.png")
    assert wanted in message(data, "plants")


def test_a_row_may_name_a_file_of_the_datasets_own_folder(folder):
    data = rows(folder, {"image": pa.array([{"bytes": None, "path": "own.png"}], STRUCT)})
    (folder / "plants/own.png").write_bytes(encoded(5))
    assert value_of(open_set(data, "plants").read(0)) == 5


def test_a_snapshot_of_the_hub_may_link_to_its_own_blobs(folder):
    data = rows(folder, {"image": pa.array([{"bytes": None, "path": "own.png"}], STRUCT)})
    snapshot, blobs = folder / "cached/snapshots/0123", folder / "cached/blobs"
    shutil.copytree(folder / "plants", snapshot)
    blobs.mkdir()
    (blobs / "5f").write_bytes(encoded(5))
    (snapshot / "own.png").symlink_to("../../blobs/5f")
    data = changed(data, sources__plants__dataset=str(snapshot))
    assert value_of(open_set(data, "plants").read(0)) == 5
    (snapshot / "own.png").unlink()
    (snapshot / "own.png").symlink_to("../../../plants/state.json")
    assert "found an image in own.png, wanted one in the dataset's own folder" in message(data, "plants")


def test_labels_out_of_range_and_an_empty_split_are_refused(folder):
    write(folder / "test.parquet", [0, 1, 2, 4])
    as_files(folder)
    assert "animals, split test: found label 4 in row 3 (the first is 0), wanted 0 to 3" in message(
        dataset_data(folder)
    )
    write(folder / "plants/test.parquet", pa.array([], pa.int64()))
    assert "plants: found nothing to open (" in message(dataset_data(folder), "plants")
