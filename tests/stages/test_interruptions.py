"""A push or pull that is killed and a disk that is full end in a clear error; nothing is lost, and a retry mends it."""

import re
import signal
import subprocess
import time

import pytest

from pipeline.runtime.files import write_json
from pipeline.store import format as layout
from pipeline.store.reader import Store
from tests.helpers.make import changed, latents_store, outliers_store, tiny_params, write_params
from tests.helpers.project import call, commit, environment, make_repository

pytestmark = pytest.mark.slow

STORE = "data/outliers/big"
SHARDS = 80


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A repository with a store of many shards, tracked but not pushed, and its remote."""
    monkeypatch.setattr(layout, "SHARD_BYTES", 2**15)
    folder, remote = tmp_path / "alice", tmp_path / "remote"
    outliers_store(folder / STORE, rows=256 * SHARDS)
    make_repository(folder)
    call(folder, "dvc", "remote", "add", "--default", "team", remote)
    call(folder, "dvc", "remote", "modify", "team", "verify", "true")
    call(folder, "dvc", "add", "--quiet", STORE)
    commit(folder, "a store")
    return folder, remote


def objects(folder):
    return [path for path in folder.rglob("files/md5/*/*") if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name)]


def files_in(folder):
    return sum(path.is_file() for path in (folder / STORE).rglob("*"))


def kill_when(folder, arguments, reached):
    """Start a command, and kill it and its children as soon as `reached()`.

    On a busy machine it waits for this process, and not this one for it.
    """
    process = subprocess.Popen(
        ["nice", "-n", "19", *arguments], cwd=folder, env=environment(folder), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not reached():
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_killed_push_is_seen_and_ended_by_the_next(shared, tell):
    folder, remote = shared
    kill_when(folder, ["dvc", "push", "--jobs", "1"], lambda: len(objects(remote)) > 20)
    sent = len(objects(remote))
    told = call(folder, "latent-outliers", "remote-check", STORE, code=1)
    assert 20 < sent < len(objects(folder / ".dvc"))
    assert len(re.findall("^missing: ", told, re.MULTILINE)) == len(objects(folder / ".dvc")) - sent
    assert "delete: " not in told
    call(folder, "latent-outliers", "verify", STORE)
    call(folder, "dvc", "push")
    assert "every object is whole" in call(folder, "latent-outliers", "remote-check", STORE)
    tell(f"killed push: {sent} of {len(objects(remote))} objects were there; the next push sent the rest")


def test_a_killed_pull_is_refused_by_readers_and_ended_by_the_next(shared, tmp_path, tell):
    folder, _ = shared
    call(folder, "dvc", "push")
    call(tmp_path, "git", "clone", "--quiet", folder, "bob")
    bob = tmp_path / "bob"
    kill_when(bob, ["dvc", "pull", "--jobs", "1"], lambda: len(list((bob / STORE).glob("latent/c/*/0/0/0"))) > 2)
    came = files_in(bob)
    assert re.search("^error: data/outliers/big/.*: (not found|found no such file)",
                     call(bob, "latent-outliers", "verify", STORE, code=1), re.MULTILINE)  # fmt: skip
    call(bob, "dvc", "pull", "--force")  # without it DVC may refuse to delete its own temporary file
    assert "whole; 20480 rows" in call(bob, "latent-outliers", "verify", STORE)
    tell(f"killed pull: {came} of {files_in(folder)} files were there, refused; the next pull brought the rest")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MiB, and how to give it more."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield disk, lambda: subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_pull_onto_a_full_disk_is_an_error_and_ends_when_there_is_room(shared, small_disk):
    folder, _ = shared
    disk, make_room = small_disk
    call(folder, "dvc", "push")
    call(disk, "git", "clone", "--quiet", folder, "bob")
    told = call(disk / "bob", "dvc", "pull", code=1)
    assert "No space left on device" in told
    call(disk / "bob", "latent-outliers", "verify", STORE, code=1)
    make_room()
    call(disk / "bob", "dvc", "pull")
    call(disk / "bob", "latent-outliers", "verify", STORE)
    call(folder, "latent-outliers", "verify", STORE)


def test_a_synthesis_onto_a_full_disk_is_one_line_and_resumes_when_there_is_room(small_disk, tmp_path):
    disk, make_room = small_disk
    params = changed(tiny_params(), synthesize__perturb__rows=30_000)  # 4 MB
    for folder in (disk, tmp_path / "roomy"):
        latents_store(folder / "id")
        write_params(folder, params)
        write_json(folder / "models/denoiser/perturb/none.json", {"needed": False})
    stage = ("python", "-m", "stages.synthesize", "perturb", "id", "models/denoiser/perturb")
    told = call(disk, *stage, "out", code=1)
    assert re.search(
        r"^error: \[Errno 28\] No space left on device.*Nothing unfinished was published", told, re.MULTILINE
    )
    assert not (disk / "out").exists()
    make_room()
    call(disk, *stage, "out")
    call(tmp_path / "roomy", *stage, "out")
    assert Store(disk / "out").digest == Store(tmp_path / "roomy/out").digest


def test_an_encoder_onto_a_full_disk_is_one_line_and_leaves_nothing_partial(small_disk):
    disk, _ = small_disk
    write_params(disk, tiny_params(data__image_size=16))
    (disk / "filler").write_bytes(bytes(19 * 2**16))
    stage = ("python", "-m", "stages.encoder", "models/encoder", "reports/curve.csv")
    told = call(disk, *stage, code=1)
    assert re.search(r"^error: \[Errno 28\] No space left on device.*run the command again", told, re.MULTILINE)
    assert "Traceback" not in told
    assert not (disk / "models/encoder").exists()
    assert not list(disk.glob("reports/*.partial"))
