"""Every object is compared with its name, and what is wrong is named with what to do."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from pipeline.runtime.errors import RemoteDamagedError, SharingError
from pipeline.runtime.files import MANIFEST, write_bytes
from pipeline.runtime.text.terminal import Console
from pipeline.sharing.remote import check_remote, print_remote_report
from tests.helpers.make import outliers_store
from tests.helpers.project import call, commit, make_repository

STORE = "data/outliers/mixup"
OTHER = "data/outliers/shuffle"
"""Of as many rows: it shares `zarr.json` and the columns with the first."""
MODEL = "models/teacher"


@pytest.fixture(scope="module")
def alice(tmp_path_factory):
    home = tmp_path_factory.mktemp("pushed")
    folder, remote = home / "alice", home / "remote"
    outliers_store(folder / STORE)
    outliers_store(folder / OTHER, seed=2)
    write_bytes(folder / MODEL / "0/model.safetensors", b"weights")
    make_repository(folder)
    call(folder, "dvc", "remote", "add", "--default", "team", remote)
    call(folder, "dvc", "add", "--quiet", STORE, OTHER, MODEL)
    call(folder, "dvc", "push", "--quiet")
    commit(folder, "pushed")
    return folder, remote


@pytest.fixture
def pushed(alice, tmp_path, monkeypatch):
    """A repository, and a remote that the test may damage."""
    folder, remote = alice
    shutil.copytree(remote, tmp_path / "whole")
    monkeypatch.chdir(folder)
    yield folder, remote
    shutil.rmtree(remote)
    (tmp_path / "whole").rename(remote)


def object_of(folder, remote, name):
    md5 = hashlib.md5((folder / STORE / name).read_bytes()).hexdigest()
    return remote / "files/md5" / md5[:2] / md5[2:]


def listing_of(folder, remote, store):
    md5 = re.search(r"md5: (\w+\.dir)", (folder / f"{store}.dvc").read_text())[1]
    return remote / "files/md5" / md5[:2] / md5[2:]


def states(report):
    return {item.expected.file: item.state for item in report.objects if item.state != "whole"}


def test_a_damaged_model_is_found_by_whoever_names_no_output(pushed):
    folder, remote = pushed
    md5 = hashlib.md5(b"weights").hexdigest()
    path = remote / "files/md5" / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(b"Weights")
    assert states(check_remote(None, [Path()])) == {f"{MODEL}/0/model.safetensors": "altered"}
    assert "altered: models/teacher/0/model.safetensors" in call(folder, "latent-outliers", "remote-check", code=1)


def test_a_whole_remote_is_whole(pushed):
    folder, _ = pushed
    report = check_remote(None, [STORE])
    assert states(report) == {}
    contents = {path.read_bytes() for path in (folder / STORE).rglob("*") if path.is_file()}
    assert len(report.objects) == len(contents) + 1  # and the listing; what is the same is kept once


@pytest.mark.parametrize("name", ["zarr.json", "latent/c/0/0/0/0", "lam/c/0", MANIFEST])
@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_what_is_missing_or_altered_is_named(pushed, name, damage, capsys):
    path = object_of(*pushed, name)
    path.chmod(0o644)
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:-1])
    report = check_remote("team", ["data/outliers"])
    assert states(report) == {f"{STORE}/{name}": damage}
    with pytest.raises(RemoteDamagedError, match="1 of 14 objects are missing or altered") as caught:
        print_remote_report(report, Console())
    told = capsys.readouterr().out
    assert "\n" not in str(caught.value)
    assert (f"delete: {path}" in told) == (damage == "altered")
    assert ".dir" in told


@pytest.mark.parametrize("damage", ["missing", "altered"])
@pytest.mark.parametrize("target", [STORE, "data/outliers"])
def test_what_two_stores_share_is_mended_by_deleting_what_is_printed_and_a_push(pushed, target, damage, capsys):
    folder, _ = pushed
    path = object_of(*pushed, "lam/c/0")
    path.chmod(0o644)
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RemoteDamagedError, match="1 of 1"):
        print_remote_report(check_remote(None, [target]), Console())
    told = re.findall(r"^delete: (.+)$", capsys.readouterr().out, re.MULTILINE)
    listings = {str(listing_of(*pushed, store)) for store in (STORE, OTHER)}
    assert set(told) == listings | ({str(path)} if damage == "altered" else set())
    for name in told:
        Path(name).unlink()
    call(folder, "dvc", "push")
    assert states(check_remote(None, ["data/outliers"])) == {}


def test_a_listing_that_is_gone_is_named_and_its_files_are_still_compared(pushed):
    listing_of(*pushed, STORE).unlink()
    report = check_remote(None, [STORE])
    assert states(report) == {STORE: "missing"}
    assert len(report.objects) == 11


def test_a_colleague_without_the_data_checks_by_the_remote_s_own_listing(pushed, tmp_path, monkeypatch):
    folder, remote = pushed
    call(tmp_path, "git", "clone", "--quiet", folder, "bob")
    monkeypatch.chdir(tmp_path / "bob")
    object_of(folder, remote, "lam/c/0").unlink()
    assert states(check_remote(None, [STORE])) == {f"{STORE}/lam/c/0": "missing"}


@pytest.mark.parametrize(
    ("remote", "target", "message"),
    [
        ("nope", STORE, "remote 'nope' doesn't exist"),
        (None, "data/nope", "data/nope: .*no output there"),
    ],
)
def test_what_is_not_there_is_one_line(pushed, remote, target, message):
    with pytest.raises(SharingError, match=message) as caught:
        check_remote(remote, [target])
    assert "\n" not in str(caught.value)
