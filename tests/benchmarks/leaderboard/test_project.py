"""A task's project is a clone at this commit with this project's images, and no real outlier is tested on."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.leaderboard.project import Project, _clone, _link, require_apart, require_clean
from benchmarks.leaderboard.tasks import CACHE, Task
from pipeline.runtime.errors import PipelineError
from tests.helpers.make import latents_store
from tests.helpers.project import IDENTITY, call, commit, make_repository

TASK = Task("digits", ("1", "6"), development=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "repository"
    make_repository(folder)
    (folder / "params.yaml").write_text("first: 1\n")
    (folder / ".gitignore").write_text("/.work\n")
    commit(folder, "first")
    monkeypatch.chdir(folder)
    return folder


def test_a_clone_is_at_this_commit_and_follows_it(repository):
    _clone(Path(".work/clone"))
    Path(".work/clone/params.yaml").write_text("of the task: 1\n")
    Path(".work/clone/made").write_text("by a stage")
    Path("params.yaml").write_text("second: 2\n")
    commit(repository, "second")
    _clone(Path(".work/clone"))
    assert Path(".work/clone/params.yaml").read_text() == "second: 2\n"
    assert Path(".work/clone/made").is_file()


def test_clones_share_one_cache(repository):
    _clone(Path(".work/clone"))
    found = call(Path(".work/clone"), "dvc", "cache", "dir").strip()
    assert Path(found) == repository / CACHE


def test_what_is_not_committed_is_refused(repository):
    require_clean()
    Path("params.yaml").write_text("changed: 1\n")
    with pytest.raises(PipelineError, match="wanted a clean checkout: params.yaml"):
        require_clean()


def test_results_that_an_interrupted_run_has_written_are_no_change(repository):
    Path("docs/benchmarks").mkdir(parents=True)
    Path("docs/benchmarks/results.md").write_text("old")
    commit(repository, "results")
    Path("docs/benchmarks/results.md").write_text("new")
    require_clean()


def test_images_that_are_not_there_are_named():
    with pytest.raises(PipelineError, match=r"data/fashion_mnist/test.parquet: not found; put or link"):
        _link(TASK)


def test_images_are_linked_and_a_link_is_renewed():
    for name in ("data/fashion_mnist/test.parquet", "data/cifar10/train.parquet"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text(name)
    for _ in range(2):
        _link(TASK)
    assert (TASK.folder / "data/cifar10/train.parquet").read_text() == "data/cifar10/train.parquet"


def test_a_real_outlier_that_is_tested_on_is_refused():
    sets = {"near": latents_store(Path("near"), content=np.arange(90))}
    require_apart(sets, ["near"], latents_store(Path("apart"), content=np.arange(90, 180)))
    with pytest.raises(PipelineError, match="near: 5 of its images are among the real outliers"):
        require_apart(sets, ["near"], latents_store(Path("overlapping"), content=np.arange(85, 175)))


def test_the_contents_are_those_of_id_test_and_of_the_sets_that_are_scored(tmp_path):
    images = {"id_test": range(90, 0, -1), "noise": range(290, 200, -1), "probe/jpeg": range(90)}
    sets = {name: latents_store(tmp_path / name, content=content) for name, content in images.items()}
    project = Project(TASK, None, (), sets, {"near": [], "far": ["noise"]})
    found = {name: [*contents] for name, contents in project.contents().items()}
    assert found == {name: [*images[name]] for name in ("id_test", "noise")}
