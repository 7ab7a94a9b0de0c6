"""Outputs on other file systems: work lies where a rename reaches them; links that DVC refuses are named at once."""

import errno
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from pipeline.runtime.errors import ProjectError
from pipeline.runtime.files import MANIFEST, WORK, write_bytes
from pipeline.runtime.outputs import require_recordable, work_folder
from pipeline.runtime.workspace import publish_when_done
from tests.helpers.make import tiny_params, write_params
from tests.helpers.project import call, make_repository

OUTPUT = Path("data/latents/id_train")


@pytest.fixture
def other_disk(tmp_path):
    """A folder on another file system than the test's."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        if Path(folder).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("no second file system here")
        yield Path(folder)


@pytest.fixture
def bind_mount(tmp_path):
    """Mount a folder of the same file system over another, as containers do: only a rename tells them apart."""
    mounted = []

    def mount(folder, target):
        target.mkdir(parents=True)
        done = subprocess.run(["mount", "--bind", folder, target], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")
        mounted.append(target)

    yield mount
    for target in mounted:
        subprocess.run(["umount", "--lazy", tmp_path / target], check=True)


def crash_once_then_publish():
    with pytest.raises(ZeroDivisionError), publish_when_done(OUTPUT, {}, []) as work:
        write_bytes(work / "first", b"half")
        raise ZeroDivisionError
    assert not OUTPUT.exists()
    with publish_when_done(OUTPUT, {}, []) as work:
        assert (work / "first").read_bytes() == b"half"
        return work


@pytest.mark.parametrize("link", ["data", "data/latents"])
def test_work_for_a_linked_folder_lies_on_its_disk_and_survives_a_crash(other_disk, link):
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(other_disk)
    assert crash_once_then_publish().is_relative_to(Path(link) / WORK)
    assert (OUTPUT / "first").read_bytes() == b"half"
    made = {path.resolve() for path in other_disk.rglob("*") if path.is_file()}
    assert made == {(OUTPUT / name).resolve() for name in ("first", MANIFEST)}
    assert list((Path(link) / WORK).iterdir()) == []


def test_an_old_output_on_another_disk_is_replaced(other_disk):
    Path("data").symlink_to(other_disk)
    write_bytes(OUTPUT / "old", b"x")
    with publish_when_done(OUTPUT, {}, []) as work:
        write_bytes(work / "new", b"y")
    assert {path.name for path in other_disk.rglob("*") if path.is_file()} == {"new", MANIFEST}


def test_a_bind_mount_of_the_same_disk_is_noticed(bind_mount, tmp_path):
    (tmp_path / "large").mkdir()
    bind_mount(tmp_path / "large", Path("data"))
    assert crash_once_then_publish().is_relative_to(Path("data") / WORK)
    assert (tmp_path / "large/latents/id_train/first").read_bytes() == b"half"


def test_work_of_a_run_before_the_folder_moved_is_cleared_away(other_disk):
    with pytest.raises(ZeroDivisionError), publish_when_done(OUTPUT, {}, []):
        raise ZeroDivisionError
    shutil.rmtree("data")
    Path("data").symlink_to(other_disk)
    crash_once_then_publish()
    assert [path.name for path in WORK.glob("*/*")] == ["lock"]


def test_a_file_system_of_its_own_is_noticed_by_the_error_of_a_rename(monkeypatch):
    rename = Path.rename

    def rename_within(source, target):
        if (source.parts[0] == "data") != (Path(target).parts[0] == "data"):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(source))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", rename_within)
    assert work_folder(OUTPUT) == Path("data") / WORK
    assert work_folder(Path("models/teacher")) == WORK
    assert crash_once_then_publish().is_relative_to("data")


def test_a_link_that_dvc_would_refuse_after_the_stage_is_refused_before(other_disk, monkeypatch):
    make_repository(Path("project"))
    monkeypatch.chdir("project")
    Path("data").symlink_to(other_disk)
    monkeypatch.setenv("DVC_STAGE", "encode@id_train")
    wanted = r"data/latents: found a link that leads to /\S+latents, wanted a folder .* Mount the other disk"
    with pytest.raises(ProjectError, match=wanted), publish_when_done(OUTPUT, {}, []):
        pass
    write_params(Path(), tiny_params())
    assert "data: found a link" in call(Path(), "latent-outliers", "check", code=1)
    call(Path(), "dvc", "config", "core.no_scm", "true")
    require_recordable(OUTPUT)
    require_recordable(Path("models/teacher"))
