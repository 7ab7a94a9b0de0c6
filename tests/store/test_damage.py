"""Every file of a store is damaged in every way; each case ends in one error that names the file."""

import json

import numpy as np
import pytest

from pipeline.latents.latents import load_id_train
from pipeline.runtime.errors import DamagedStoreError, IncompatibleStoreError, StoreError, UnfinishedStoreError
from pipeline.runtime.files import MANIFEST, digest, json_bytes, read_json
from pipeline.runtime.manifest import seal_digest
from pipeline.store import format as layout
from pipeline.store.format import Manifest, chunk_file
from pipeline.store.pool import RowPool
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter
from pipeline.training.draws import check_outliers
from tests.helpers.make import latents_store, outliers_store

ROWS = 600  # three shards of 256, the last one padded
FLIPS = 40  # in each of 26 files
COLUMNS = {"class_a": np.dtype("<i4"), "class_b": np.dtype("<i4"), "lam": np.dtype("<f4")}
ARRAYS = ("latent", "class_a", "class_b", "parent_a", "parent_b", "lam")
CHUNKS = [chunk_file(array, shard) for array in ARRAYS for shard in range(3)]
FILES = ["zarr.json", *(f"{array}/zarr.json" for array in ARRAYS), *CHUNKS, MANIFEST]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    return outliers_store(tmp_path / "store", rows=ROWS)


@pytest.fixture
def header(tmp_path, store):
    return load_id_train(latents_store(tmp_path / "id")).header


def verify(folder):
    Store(folder).verify(lambda _: None)


def flipped(content, place, bit):
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def damages(content, other):
    """All ways to damage a file of this content, by name; `other` is the same file of another store."""
    rng = np.random.default_rng(0)
    flips = zip(rng.integers(len(content), size=FLIPS), rng.integers(8, size=FLIPS), strict=True)
    whole = {
        "missing": None,
        "empty": b"",
        "cut in half": content[: len(content) // 2],
        "last byte lost": content[:-1],
        "one byte more": content + b"\n",
        "all zeros": bytes(len(content)),
        "of another store": other,
        **{f"bit {bit} of byte {place} flipped": flipped(content, place, bit) for place, bit in flips},
    }
    return {name: changed for name, changed in whole.items() if changed != content}


def put(path, content):
    path.unlink() if content is None else path.write_bytes(content)


def test_the_cases_cover_every_file(store):
    assert {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()} == set(FILES)


def test_every_damage_to_every_file_is_named_and_never_trained_on(store, tmp_path, header, tell):
    other, tried = outliers_store(tmp_path / "other", rows=ROWS, seed=7), 0
    for name in FILES:
        path, content = store / name, (store / name).read_bytes()
        for damage, changed in damages(content, (other / name).read_bytes()).items():
            put(path, changed)
            strange = (name, damage) == (MANIFEST, "of another store")  # whole in itself: the files do not match it
            told = "|".join(FILES) if strange else name
            for use in (verify, lambda folder: check_outliers([folder], header)):
                with pytest.raises(StoreError, match=told) as caught:
                    use(store)
                assert "\n" not in str(caught.value), damage
            tried += 1
            path.write_bytes(content)
    verify(store)
    check_outliers([store], header)
    tell(f"damage: {tried} cases in {len(FILES)} files tried, {tried} detected by `verify` and before training")


@pytest.mark.parametrize("name", CHUNKS)
def test_damaged_rows_are_never_handed_out(store, name):
    array, shard = name.split("/")[0], int(name.split("/")[2])
    path, content, rng = store / name, (store / name).read_bytes(), np.random.default_rng(1)
    row = np.array([256 * shard])
    for _ in range(20):
        path.write_bytes(flipped(content, rng.integers(len(content) - 4), rng.integers(8)))
        for read in (lambda: Store(store).take(array, row), lambda: Store(store).column(array)):
            with pytest.raises(DamagedStoreError, match=name):
                read()
        if array == "latent":
            with pytest.raises(DamagedStoreError, match=name):
                RowPool(store).take(row)


def test_damaged_id_latents_are_never_handed_out(tmp_path):
    folder = latents_store(tmp_path / "id")
    for name in ("latent/c/0/0/0/0", "label/c/0"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(flipped(content, 7, 3))
        with pytest.raises(DamagedStoreError, match=name):
            load_id_train(folder)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(("one", "two"), [(CHUNKS[0], CHUNKS[1]), (CHUNKS[-2], CHUNKS[-1])])
def test_swapped_shards_are_found(store, header, one, two):
    first, second = (store / one).read_bytes(), (store / two).read_bytes()
    (store / one).write_bytes(second)
    (store / two).write_bytes(first)
    for use in (verify, lambda folder: check_outliers([folder], header)):
        with pytest.raises(DamagedStoreError, match=one):
            use(store)


def test_a_store_without_manifest_is_unfinished(store):
    (store / MANIFEST).unlink()
    with pytest.raises(UnfinishedStoreError, match=r"manifest.json: not found.*dvc repro.*dvc pull"):
        Store(store)


@pytest.mark.parametrize("name", ["lam/c/9", "extra.partial", "lam/c/0.77.partial"])
def test_a_file_too_many_is_refused(store, name):
    (store / name).write_bytes(b"x")
    with pytest.raises(DamagedStoreError, match=f"{name}: found a file the manifest does not know"):
        Store(store)


def reseal(store, **fields):
    """Write a manifest that is whole in itself, as another program would."""
    content = read_json(store / MANIFEST) | fields
    content["sha256"] = seal_digest(content)
    (store / MANIFEST).write_bytes(json_bytes(content))


def test_a_newer_format_is_refused_by_name(store):
    reseal(store, format="latent-outliers-store/3", something="new")
    with pytest.raises(IncompatibleStoreError, match="its format is 'latent-outliers-store/3', wanted 'lat.*store/2'"):
        Store(store)


def test_a_manifest_of_one_row_less_is_found(store):
    reseal(store, rows=ROWS - 1)
    with pytest.raises(DamagedStoreError, match=f"zarr.json: found {ROWS} rows, wanted {ROWS - 1} rows"):
        Store(store)


def test_a_shard_one_row_short_is_found_even_if_the_manifest_says_so(store):
    name = chunk_file("latent", 2)
    short = (store / name).read_bytes()[:-128]
    (store / name).write_bytes(short)
    files = read_json(store / MANIFEST)["files"]
    files[name] = {"bytes": len(short), "sha256": digest(short), "crc32c": files[name]["crc32c"]}
    reseal(store, files=files)
    with pytest.raises(DamagedStoreError, match=f"{name}: found 32644 bytes, wanted 32772 bytes for a whole shard"):
        Store(store)


def test_a_shard_the_manifest_forgot_is_found(store):
    files = read_json(store / MANIFEST)["files"]
    (store / CHUNKS[2]).unlink()
    del files[CHUNKS[2]]
    reseal(store, files=files)
    with pytest.raises(DamagedStoreError, match=f"manifest.json: found no entry for {CHUNKS[2]}, wanted one"):
        Store(store)


def test_a_manifest_of_this_format_that_lacks_a_field_is_damaged(store):
    content = json.loads((store / MANIFEST).read_bytes())
    del content["shards"]
    content["sha256"] = seal_digest(content)
    (store / MANIFEST).write_bytes(json_bytes(content))
    with pytest.raises(DamagedStoreError, match=r"manifest.json: found shards: Field required"):
        Store(store)


def test_a_resumed_writer_never_keeps_a_damaged_shard(store):
    writer = StoreWriter(store, ROWS, (4, 4, 4), COLUMNS)
    assert writer.missing_shards() == []
    for shard in range(3):
        path = store / chunk_file("latent", shard)
        content = path.read_bytes()
        path.write_bytes(flipped(content, 99, 0))
        assert writer.missing_shards() == [shard]
        path.write_bytes(content)
    assert Manifest.model_validate(read_json(store / MANIFEST)).rows == ROWS
