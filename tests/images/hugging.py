"""Folders that the library `datasets` opens, with the same images as the Parquet files of test_parquet."""

import shutil

import datasets
import pyarrow.parquet as pq

from tests.helpers.make import changed, parquet_data
from tests.images.sources.test_parquet import write

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = {"dataset": "team/animals", "config": "default", "revision": COMMIT}
NAMES = ["ant", "bee", "cow", "dog"]


def write_files(folder):
    """Write train.parquet, test.parquet and plants.parquet: 0 to 239, 1000 to 1079 and 2000 to 2049."""
    write(folder / "train.parquet", [0, 1, 2, 3] * 60)
    write(folder / "test.parquet", [3, 2, 1, 0] * 20, first=1000)
    write(folder / "plants.parquet", [-1] * 50, first=2000)


def as_files(folder):
    """Put the Parquet files into folders `animals` and `plants`, as load_dataset reads them."""
    for name, split in (("train", "animals/train"), ("test", "animals/test"), ("plants", "plants/test")):
        (folder / split).parent.mkdir(exist_ok=True)
        shutil.copy(folder / f"{name}.parquet", folder / f"{split}.parquet")


def as_saved(folder):
    """Save the same as save_to_disk does, with names of classes."""
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    splits = {name: _dataset(folder / f"{name}.parquet", features) for name in ("train", "test")}
    datasets.DatasetDict(splits).save_to_disk(folder / "animals")
    datasets.DatasetDict({"test": _dataset(folder / "plants.parquet", None)}).save_to_disk(folder / "plants")


def _dataset(file, features):
    return datasets.Dataset.from_list(pq.read_table(file).to_pylist(), features=features)


def dataset_data(folder, **changes):
    """The `data` section over the datasets `animals` and `plants` of a folder."""
    data = parquet_data(folder)
    here = {"config": None, "revision": None}
    animals = data["sources"]["animals"] | here | {"kind": "dataset", "dataset": f"{folder}/animals"}
    plants = {"kind": "dataset_images", "dataset": f"{folder}/plants", "split": "test", "image": "image"}
    sources = {
        "animals": animals | {"train": "train", "test": "test"},
        "plants": plants | here | {"images": None, "seed": 0},
    }
    return changed(changed(data, sources=sources), **changes)
