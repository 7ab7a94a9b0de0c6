"""Every file of a store is damaged in every way; each case ends in one error that names the file."""

import json
import shutil

import numpy as np
import pytest

from pipeline.errors import DamagedStoreError, IncompatibleStoreError, StoreError, UnfinishedStoreError
from pipeline.files import json_bytes
from pipeline.store.format import MANIFEST, Manifest
from pipeline.store.reader import Store
from tests.make import outliers_store


def read_all(folder):
    Store(folder).verify(lambda _: None)


@pytest.fixture
def store(tmp_path):
    folder = outliers_store(tmp_path / "store")
    read_all(folder)
    return folder


FILES = ("zarr.json", "latent/zarr.json", "latent/c/0/0/0/0", "lam/zarr.json", "lam/c/0", MANIFEST)


def flip(content, place):
    return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


def test_the_cases_cover_every_file(store):
    assert {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "longer"])
def test_a_file_that_is_not_whole_is_named(store, name, damage):
    path = store / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "truncated": content[:-1], "longer": content + b"\n"}[damage])
    with pytest.raises(StoreError, match=name):
        read_all(store)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_wherever_it_is(store, name):
    content = (store / name).read_bytes()
    places = np.random.default_rng(0).choice(len(content), min(40, len(content)), replace=False)
    for place in places:
        (store / name).write_bytes(flip(content, place))
        with pytest.raises(StoreError, match=name if name != MANIFEST else "store"):
            read_all(store)


@pytest.mark.parametrize("name", ["latent/c/0/0/0/0", "lam/c/0"])
def test_damaged_rows_are_never_handed_out(store, name):
    (store / name).write_bytes(flip((store / name).read_bytes(), 7))
    with pytest.raises(DamagedStoreError, match=name):
        Store(store).take(name.split("/")[0], np.array([0]))


def test_shards_of_another_store_are_refused(store, tmp_path):
    other = outliers_store(tmp_path / "other", seed=7)
    shutil.copy(other / "latent/c/0/0/0/0", store / "latent/c/0/0/0/0")
    with pytest.raises(DamagedStoreError, match=r"latent/c/0/0/0/0: found SHA-256"):
        read_all(store)


def test_a_store_without_manifest_is_unfinished(store):
    (store / MANIFEST).unlink()
    with pytest.raises(UnfinishedStoreError, match=r"manifest.json: not found.*dvc repro.*dvc pull"):
        Store(store)


def test_a_leftover_file_is_refused_and_a_partial_one_is_passed_over(store):
    (store / "lam/c/0.77.partial").write_bytes(b"half")
    read_all(store)
    (store / "lam/c/1").write_bytes(b"x")
    with pytest.raises(DamagedStoreError, match=r"lam/c/1: found a file the manifest does not know"):
        Store(store)


def test_a_newer_format_is_refused_by_name(store):
    content = json.loads((store / MANIFEST).read_text()) | {"format": "latent-outliers-store/2"}
    (store / MANIFEST).write_bytes(json_bytes(content))
    with pytest.raises(IncompatibleStoreError, match="its format is 'latent-outliers-store/2', wanted"):
        Store(store)


def test_one_row_short_is_found(store):
    manifest = Manifest.model_validate_json((store / MANIFEST).read_bytes())
    short = Manifest.seal(manifest.rows - 1, manifest.shards, manifest.files)
    (store / MANIFEST).write_bytes(json_bytes(short.model_dump(mode="json")))
    with pytest.raises(DamagedStoreError, match="found 40 rows, wanted 39 rows"):
        Store(store)
