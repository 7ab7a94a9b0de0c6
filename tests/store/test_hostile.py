"""Stores that a stranger made: lying numbers, impossible values and files that are none end in one line each."""

import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.latents.latents import has_parents_in, load_id_train
from pipeline.runtime import shortage
from pipeline.runtime.errors import DamagedStoreError, IncompatibleStoreError, OutOfMemoryError, StoreError
from pipeline.runtime.files import MANIFEST, digest, json_bytes, read_json
from pipeline.runtime.manifest import seal_digest
from pipeline.store.format import CRC_BYTES, chunk_file
from pipeline.store.reader import Store
from tests.helpers.make import latents_store, outliers_store

HUGE = 10**12
FILES = {"digest": "a", "found": 3, "parts": {"train": 1}, "repeated": 0, "skipped": {"empty": 2}}
HEADERS = {
    "rows": {"rows": HUGE},
    "no rows": {"rows": 0},
    "rows below zero": {"rows": -5},
    "rows as text": {"rows": "40"},
    "rows beyond 64 bits": {"rows": 2**70},
    "a shard of no rows": {"rows_per_shard": 0},
    "a shard below zero": {"rows_per_shard": -40},
    "a million million shards": {"rows": HUGE, "rows_per_shard": 1},
    "columns of objects": {"columns": {"lam": "|O"}},
    "columns of text": {"columns": {"lam": "<U1000000"}},
    "columns of another order": {"columns": {"lam": ">f4"}},
    "a column that is a path": {"columns": {"../../lam": "<f4"}},
    "classes of fractions": {"columns": {"class_a": "<f4"}},
    "columns beyond count": {"columns": {f"c{number}": "<f4" for number in range(10_000)}},
    "a column of latents": {"columns": {"latent": "<f2"}},
    "a share without its class": {"columns": {"lam_3": "<f4"}},
    "columns in a list": {"columns": ["lam"]},
    "latents beyond memory": {"space": {"shape": [2**16, 2**16, 2**16]}},
    "latents of no side": {"space": {"shape": [4, 0, 4]}},
    "latents below zero": {"space": {"shape": [4, -4, -4]}},
    "images of no pixel": {"space": {"image_size": 0}},
    "a scale of zero": {"space": {"scaling_factor": 0.0}},
    "statistics of other channels": {"standardisation": {"mean": [0.0]}},
    "a spread below zero": {"standardisation": {"std": [-1.0] * 4}},
    "classes twice": {"class_names": ["class 0"] * 3},
    "deep provenance": {"provenance": {"method_names": []}, "deep": 500},
    "names of methods that are none": {"provenance": {"method_names": 7}},
    "files that are none": {"provenance": {"files": 7}},
    "files in a list": {"provenance": {"files": ["a.png"], "part": "train"}},
    "files without counts": {"provenance": {"files": {}, "part": "train"}},
    "files by a text": {"provenance": {"files": FILES | {"skipped": {"empty": "2"}}, "part": "train"}},
    "files below zero": {"provenance": {"files": FILES | {"found": -1}, "part": "train"}},
    "names of files that are none": {"provenance": {"files": FILES | {"skipped_files": {"empty": 7}}, "part": "train"}},
    "files of another part": {"provenance": {"files": FILES, "part": "test"}},
    "files of a part that is none": {"provenance": {"files": FILES, "part": {"train": 1}}},
    "views of nothing": {"columns": {"view_a": "<i4", "view_b": "<i4"}},
    "views of no parent": {"columns": {"view_3": "<i4"}, "provenance": {"views": {"count": 8}}},
    "files of no part": {"provenance": {"files": FILES}},
}


@pytest.fixture
def store():
    return outliers_store(Path("store"))


def merged(old, new):
    both = isinstance(old, dict) and isinstance(new, dict)
    return old | {key: merged(old.get(key), value) for key, value in new.items()} if both else new


def replace_file(store, name, content, **fields):
    """Replace a file, and write a manifest that is whole in itself, as a stranger's program can."""
    (store / name).write_bytes(content)
    manifest = read_json(store / MANIFEST) | fields
    entry = manifest["files"][name]
    crc32c = None if entry["crc32c"] is None else int.from_bytes(content[-CRC_BYTES:], "little")
    manifest["files"][name] = {"bytes": len(content), "sha256": digest(content), "crc32c": crc32c}
    manifest["sha256"] = seal_digest(manifest)
    (store / MANIFEST).write_bytes(json_bytes(manifest))


def write_column(store, name, values):
    import google_crc32c

    content = values.tobytes()
    crc32c = google_crc32c.value(content).to_bytes(CRC_BYTES, "little")
    replace_file(store, chunk_file(name, 0), content + crc32c)


@pytest.mark.parametrize("lie", HEADERS)
def test_a_header_that_lies_is_refused_at_once_and_nothing_is_allocated(store, lie):
    header, changes = read_json(store / "zarr.json"), dict(HEADERS[lie])
    deep = changes.pop("deep", 0)
    header["attributes"] = merged(header["attributes"], changes)
    for _ in range(deep):
        header["attributes"]["provenance"] = {"in": header["attributes"]["provenance"]}
    rows = header["attributes"]["rows"]
    promised = {"rows": rows} if isinstance(rows, int) and 0 < rows < 2**48 else {}
    began = time.perf_counter()
    replace_file(store, "zarr.json", json_bytes(header), **promised)
    with pytest.raises(StoreError, match=r"^store/(zarr|manifest)\.json: found ") as caught:
        Store(store)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"7", b'{"attributes": []}', b"{}", b'{"a":' * 10**5, b"[" * 10**6, b"\xff\xfe", b"1" * 5000],
)
def test_json_that_is_something_else_is_refused(store, content):
    replace_file(store, "zarr.json", content)
    with pytest.raises(DamagedStoreError, match="zarr.json: found no fields in it"):
        Store(store)
    (store / MANIFEST).write_bytes(content)
    with pytest.raises(DamagedStoreError, match="manifest.json: found bytes that do not match"):
        Store(store)


@pytest.mark.parametrize(
    ("field", "value"), [("rows", HUGE), ("shards", 10**9), ("shards", 0), ("rows", True), ("files", []), ("files", {})]
)
def test_a_manifest_that_lies_is_refused(store, field, value):
    content = read_json(store / MANIFEST) | {field: value}
    content["sha256"] = seal_digest(content)
    (store / MANIFEST).write_bytes(json_bytes(content))
    with pytest.raises(DamagedStoreError):
        Store(store)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("class_a", 3, "class_a 3, wanted -1 to 2"),
        ("class_b", -2, "class_b -2, wanted -1 to 2"),
        ("parent_a", -7, "parent_a -7, wanted -1 to inf"),
        ("lam", np.nan, "lam nan, wanted"),
        ("lam", 1.5, "lam 1.5, wanted"),
        ("latent", np.nan, "NaN or infinity, wanted finite latents"),
        ("latent", -np.inf, "NaN or infinity, wanted finite latents"),
    ],
)
def test_values_that_cannot_be_are_refused_by_verify_and_by_every_reader(store, name, value, told):
    whole = Store(store)
    values = whole.latents() if name == "latent" else whole.column(name)
    values.reshape(-1)[5] = value
    write_column(store, name, values)
    damaged = Store(store)
    for read in (lambda: damaged.verify(lambda _: None), damaged.check, lambda: damaged.chunk(name, 0)):
        with pytest.raises(DamagedStoreError, match=f"store/{chunk_file(name, 0)}: found {told}"):
            read()


def test_labels_beyond_the_classes_are_refused_when_they_are_loaded():
    folder = latents_store(Path("id"))
    labels = Store(folder).column("label")
    labels[0] = 3
    write_column(folder, "label", labels)
    with pytest.raises(DamagedStoreError, match="label 3, wanted -1 to 2"):
        load_id_train(folder)


def test_parents_beyond_the_id_training_latents_are_refused():
    id_train = load_id_train(latents_store(Path("id"), per_class=30))
    for name, last in (("good", 89), ("bad", 90)):
        outliers_store(Path(name), rows=1, latents=id_train.digest, parent_a=np.array([last]))
    assert has_parents_in(Store(Path("good")), id_train)
    with pytest.raises(DamagedStoreError, match="bad: found parent_a 90, wanted rows of the 90 ID training latents"):
        has_parents_in(Store(Path("bad")), id_train)


def test_a_store_without_the_columns_of_its_kind_is_refused(store):
    whole = Store(store)
    del whole.header.columns["parent_b"]
    with pytest.raises(IncompatibleStoreError, match="its list of columns is .* wanted .*'parent_b'"):
        whole.require("outliers", whole.header.space)


def test_rows_beyond_the_memory_of_the_machine_are_refused_before_they_are_asked_for(store, monkeypatch):
    monkeypatch.setattr(shortage, "machine_memory", lambda: 5000)
    with pytest.raises(OutOfMemoryError, match=r"store, 40 rows of latent: needs 5.0 KiB, there are 4.9 KiB"):
        Store(store).latents()


@pytest.mark.parametrize("name", ["zarr.json", "lam/c/0", "latent/c/0/0/0/0", MANIFEST])
def test_what_is_no_regular_file_is_refused_without_waiting(store, name):
    path, content = store / name, (store / name).read_bytes()
    for put in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to("/etc/hostname")):
        path.unlink()
        put(path)
        with pytest.raises(DamagedStoreError, match=f"store/{name}: found (a named pipe|a link to|[0-9]+ bytes)"):
            Store(store).verify(lambda _: None)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(50 * 2**30)
    with pytest.raises(DamagedStoreError, match=f"store/{name}: found (53687091200 )?bytes"):
        Store(store)
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["zarr.json", "lam/c/0", "latent/c/0/0/0/0", MANIFEST])
@pytest.mark.parametrize("kind", ["a link to itself", "a link to nothing", "a folder", "a socket"])
def test_what_cannot_be_opened_is_an_error_of_the_store(store, name, kind):
    path = store / name
    path.unlink()
    match kind:
        case "a link to itself":
            path.symlink_to(path.name)
        case "a link to nothing":
            path.symlink_to("nothing")
        case "a folder":
            path.mkdir()
        case "a socket":
            with socket.socket(socket.AF_UNIX) as end:
                end.bind(str(path))
    with pytest.raises(StoreError, match=f"store/{name}"):
        Store(store)


def test_files_are_counted_as_the_writer_has_counted_them(store):
    header = read_json(store / "zarr.json")
    header["attributes"]["provenance"] |= {"files": FILES | {"faint": 1}, "part": "train"}
    replace_file(store, "zarr.json", json_bytes(header))
    assert Store(store).header.provenance["files"] == FILES | {"faint": 1}


def test_a_pipe_beside_the_files_of_a_store_is_refused(store):
    os.mkfifo(store / "pipe")
    with pytest.raises(DamagedStoreError, match="store/pipe: found a named pipe, wanted a regular file"):
        Store(store)


def test_files_that_dvc_links_into_its_cache_are_read(store):
    cached = Path("cache/files/md5/ab") / ("c" * 30)
    cached.parent.mkdir(parents=True)
    (store / "lam/c/0").rename(cached)
    (store / "lam/c/0").symlink_to(cached.absolute())
    Store(store).verify(lambda _: None)
