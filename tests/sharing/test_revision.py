"""A store in a revision is read like one in a folder, plain zarr included, without a checkout."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from dvc.api import DVCFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

from pipeline.runtime.errors import DamagedStoreError, SharingError
from pipeline.sharing.revision import open_store
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
        (Path("data/outliers/nope"), "v1", "data/outliers/nope/manifest.json in .* at v1: .* does not have it"),
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
