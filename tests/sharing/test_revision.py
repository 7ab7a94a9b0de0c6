"""A store in a revision is read like one in a folder, plain zarr included, without a checkout."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from dvc.api import DVCFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from pipeline.runtime.errors import DamagedStoreError, SharingError
from pipeline.sharing.revision import open_store, read_file
from pipeline.store.reader import Store
from tests.helpers.make import outliers_store
from tests.helpers.project import call, commit, make_repository

STORE = Path("data/outliers/mixup")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Two versions of a store, tagged; the first is only in the cache."""
    folder = tmp_path_factory.mktemp("shared") / "repository"
    make_repository(folder)
    for version in (1, 2):
        outliers_store(folder / STORE, seed=version)
        call(folder, "dvc", "add", "--quiet", STORE)
        commit(folder, f"version {version}")
        call(folder, "git", "tag", f"v{version}")
    return folder


def test_two_revisions_are_read_without_a_checkout(repository, tmp_path):
    wanted = Store(outliers_store(tmp_path / "one", seed=1))
    first, second = (open_store(STORE, str(repository), rev) for rev in ("v1", None))
    first.verify(lambda _: None)
    np.testing.assert_array_equal(first.latents(), wanted.latents())
    np.testing.assert_array_equal(first.column("lam"), wanted.column("lam"))
    assert first.digest == wanted.digest
    assert second.digest == Store(repository / STORE).digest != first.digest


def test_plain_zarr_reads_a_revision_too(repository):
    files = AsyncFileSystemWrapper(DVCFileSystem(str(repository), rev="v1"), asynchronous=True)
    group = zarr.open_group(zarr.storage.FsspecStore(files, read_only=True, path=str(STORE)), mode="r")
    np.testing.assert_array_equal(group["latent"][:], open_store(STORE, str(repository), "v1").latents())


def test_the_current_repository_is_meant_when_only_a_revision_is_named(repository, monkeypatch):
    monkeypatch.chdir(repository)
    assert open_store(STORE, None, "v1").digest == open_store(STORE, str(repository), "v1").digest


@pytest.mark.parametrize(
    ("path", "rev", "message"),
    [
        (
            Path("data/outliers/nope"),
            "v1",
            "nope/manifest.json in .* at v1: .* does not have it, and has no dvc.lock.*`git add dvc.lock`",
        ),
        (STORE, "v3", "unknown Git revision 'v3'"),
    ],
)
def test_what_is_not_there_is_one_line(repository, path, rev, message):
    with pytest.raises(SharingError, match=message) as caught:
        open_store(path, str(repository), rev)
    assert "\n" not in str(caught.value)


def test_a_damaged_object_of_a_revision_is_found(repository, tmp_path):
    chunk = outliers_store(tmp_path / "one", seed=1) / "latent/c/0/0/0/0"
    cache = [path for path in (repository / ".dvc/cache/files").rglob("*/*") if path.is_file()]
    (damaged,) = [path for path in cache if path.read_bytes() == chunk.read_bytes()]
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-5] + b"xxxxx")
    with pytest.raises(DamagedStoreError, match="latent/c/0/0/0/0 in .* at v1: found CRC-32C"):
        open_store(STORE, str(repository), "v1").latents()
    damaged.write_bytes(chunk.read_bytes())


@pytest.fixture(scope="module")
def in_a_subfolder(tmp_path_factory):
    """A project that is one folder of a git repository, with a store in a revision."""
    root = tmp_path_factory.mktemp("several") / "repository"
    root.mkdir()
    call(root, "git", "init", "--quiet", "--initial-branch", "main")
    project = root / "detectors/owls"
    project.mkdir(parents=True)
    call(project, "dvc", "init", "--quiet", "--subdir")
    outliers_store(project / STORE, seed=1)
    call(project, "dvc", "add", "--quiet", STORE)
    (project / "params.yaml").write_text("seeds: [0]\n")
    commit(root, "version 1")
    shutil.rmtree(project / STORE)
    return project


def copied(project, folder):
    """Return a copy of the project with its git repository."""
    return shutil.copytree(project.parents[1], folder / "copy") / project.relative_to(project.parents[1])


def test_a_project_below_the_root_of_git_has_revisions(in_a_subfolder, monkeypatch):
    monkeypatch.chdir(in_a_subfolder)
    open_store(STORE, None, "HEAD").verify(lambda _: None)
    assert read_file(Path("params.yaml"), "HEAD") == b"seeds: [0]\n"
    elsewhere = in_a_subfolder.parent
    monkeypatch.chdir(elsewhere)
    open_store(STORE, "owls", "HEAD").verify(lambda _: None)


def test_a_store_below_the_root_of_a_named_git_repository_is_found_by_its_path(in_a_subfolder):
    path = in_a_subfolder.relative_to(in_a_subfolder.parents[1]) / STORE
    assert open_store(path, str(in_a_subfolder.parents[1]), "HEAD").rows


def test_what_is_recorded_and_on_no_remote_is_told_from_what_is_not_recorded(in_a_subfolder, tmp_path, monkeypatch):
    project = copied(in_a_subfolder, tmp_path)
    shutil.rmtree(project / ".dvc/cache")
    monkeypatch.chdir(project)
    with pytest.raises(SharingError, match=r"recorded, but neither the cache nor a remote .*`dvc pull`"):
        open_store(STORE, None, "HEAD")
    (project / "dvc.lock").write_text("schema: '2.0'\n")
    commit(project, "a lock file")
    with pytest.raises(SharingError, match=r"that revision does not have it\). Check the path"):
        open_store(STORE.with_name("nope"), None, "HEAD")


def test_an_object_that_git_has_lost_is_one_line_and_no_wait(in_a_subfolder, tmp_path, monkeypatch):
    project = copied(in_a_subfolder, tmp_path)
    lost = call(project, "git", "rev-parse", "HEAD:./params.yaml").strip()
    (project.parents[1] / ".git/objects" / lost[:2] / lost[2:]).unlink()
    monkeypatch.chdir(project)
    with pytest.raises(SharingError, match=r"params.yaml .*\(git: .*object not found.*`git fsck`"):
        read_file(Path("params.yaml"), "HEAD")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_checkout_of_another_user_is_one_line(in_a_subfolder, tmp_path, monkeypatch):
    project = copied(in_a_subfolder, tmp_path)
    for path in (project.parents[1], *project.parents[1].rglob("*")):
        os.chown(path, 65534, 65534)
    monkeypatch.chdir(project)
    with pytest.raises(SharingError, match="not owned by current user.*`git status`"):
        read_file(Path("params.yaml"), "HEAD")
