"""Every output has a manifest: what was flipped, left over, lost or put in its place is named before it is used."""

import json
import os
from pathlib import Path

import pytest

from pipeline.runtime.errors import DamagedOutputError
from pipeline.runtime.files import MANIFEST, folder_digest, json_bytes, read_json, write_bytes, write_json
from pipeline.runtime.manifest import check_output, checked_digest, seal, seal_digest
from pipeline.runtime.workspace import publish_when_done
from pipeline.store.reader import Store
from tests.helpers.make import latents_store

OUTPUT = Path("models/teacher")
WEIGHTS = OUTPUT / "0/model.safetensors"


@pytest.fixture(autouse=True)
def output():
    with publish_when_done(OUTPUT, {}, []) as work:
        write_bytes(work / "0/model.safetensors", b"weights")
        write_json(work / "0/network.json", {"role": "teacher"})
    return OUTPUT


def flip(path):
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def link_away(path):
    path.rename("elsewhere")
    path.symlink_to(Path("elsewhere").absolute())


def make_pipe(path):
    path.unlink()
    os.mkfifo(path)


def make_huge(path):
    with path.open("wb") as file:
        file.truncate(50 * 2**30)


DAMAGES = {
    "flipped": (flip, "found SHA-256"),
    "cut": (lambda path: path.write_bytes(b"w"), "found 1 bytes, wanted 7"),
    "lost": (Path.unlink, "found no such file, wanted 7 bytes"),
    "a pipe": (make_pipe, "found a named pipe"),
    "a link": (link_away, "found a link to"),
    "huge": (make_huge, "found 53,687,091,200 bytes, wanted 7"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_before_a_stage_begins(damage):
    put, found = DAMAGES[damage]
    put(WEIGHTS)
    wanted = f"{WEIGHTS}: {found}.* The output is damaged. Delete models/teacher, then restore it"
    with pytest.raises(DamagedOutputError, match=wanted), publish_when_done(Path("next"), {}, [OUTPUT]):
        pass
    assert not Path("next").exists()


@pytest.mark.parametrize("name", ["extra.partial", "0/extra", "1/model.safetensors"])
def test_a_file_too_many_is_named(name):
    write_bytes(OUTPUT / name, b"x")
    with pytest.raises(DamagedOutputError, match=f"{name}: found a file the manifest does not know"):
        check_output(OUTPUT)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"[" * 10**6, b"\xff"])
def test_a_manifest_that_is_none_is_named(content):
    (OUTPUT / MANIFEST).write_bytes(content)
    with pytest.raises(DamagedOutputError, match="manifest.json: found bytes that do not match"):
        check_output(OUTPUT)


@pytest.mark.parametrize(
    "fields", [{"files": []}, {"files": {"a": {"bytes": -1, "sha256": "0" * 64}}}, {"format": "other/1"}, {"more": 1}]
)
def test_a_manifest_that_lies_about_its_fields_is_named(fields):
    content = read_json(OUTPUT / MANIFEST) | fields
    (OUTPUT / MANIFEST).write_bytes(json_bytes(content | {"sha256": seal_digest(content)}))
    with pytest.raises(DamagedOutputError, match="manifest.json: found .*, wanted the fields of"):
        check_output(OUTPUT)


def test_whoever_knows_the_digest_knows_every_byte():
    before = checked_digest(OUTPUT)
    seal(OUTPUT)
    assert checked_digest(OUTPUT) == before
    flip(WEIGHTS)
    seal(OUTPUT)
    assert checked_digest(OUTPUT) != before


def test_the_digest_of_a_folder_is_that_of_its_content_with_or_without_a_manifest():
    before = folder_digest(OUTPUT)
    (OUTPUT / MANIFEST).unlink()
    assert folder_digest(OUTPUT) == before


def test_a_store_keeps_its_own_manifest_and_is_listed_by_it_alone():
    store = latents_store(Path("probes/jpeg"))
    manifest = (store / MANIFEST).read_bytes()
    seal(store)
    seal(Path("probes"))
    assert (store / MANIFEST).read_bytes() == manifest
    assert list(json.loads(Path("probes/manifest.json").read_bytes())["files"]) == ["jpeg/manifest.json"]
    assert check_output(Path("probes")) == 1
    Store(store).verify(lambda _: None)


def test_work_that_was_killed_after_its_seal_is_sealed_again():
    with pytest.raises(ZeroDivisionError), publish_when_done(Path("out"), {}, []) as work:
        write_bytes(work / "a", b"1")
        seal(work)
        raise ZeroDivisionError
    with publish_when_done(Path("out"), {}, []) as work:
        write_bytes(work / "b", b"2")
    assert check_output(Path("out")) == 2
