"""Every method is trained on what its name says, and again exactly when something it depends on has changed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.leaderboard import training as leaderboard_training
from benchmarks.leaderboard.methods import METHODS, Library, Method, logit_norm
from benchmarks.leaderboard.project import Project
from benchmarks.leaderboard.tasks import Task
from benchmarks.leaderboard.training import networks, stores_of, train, units
from pipeline.params.all_params import load_all
from pipeline.runtime.files import write_json
from pipeline.schema.text import plain_yaml
from pipeline.store.reader import Store
from tests.helpers.make import ROOT, latents_store, outliers_store, tiny_params, write_params

SYNTHESIS_METHODS = ("perturb", "shuffle")


@pytest.fixture
def project():
    """A task that is prepared, with stores as small as they go."""
    for name in ("dvc.yaml", "pipeline", "stages", "benchmarks"):
        Path(name).symlink_to(ROOT / name)
    task = Task("digits", ("1", "6"), development=True)
    content = tiny_params(teacher__optimiser__epochs=3, synthesize__methods=["copies", *SYNTHESIS_METHODS])
    task.folder.mkdir(parents=True)
    found = Project(task, load_all(write_params(task.folder, content)), SYNTHESIS_METHODS, {}, {})
    for place, name in enumerate(("id_train", "exposure")):
        latents_store(found.latents(name), seed=place)
    for name in (*SYNTHESIS_METHODS, "copies"):
        outliers_store(found.outliers(name))
        write_json(task.folder / "models/denoiser" / name / "none.json", {"needed": False})
    for seed in (0, 1):
        write_json(found.teacher(seed) / "network.json", {"seed": seed})
    return found


def first(project, name):
    return units(project, {name: METHODS[name]})[name][0]


def test_ours_is_trained_on_the_outliers_of_the_preset(project):
    assert first(project, "ours").outliers == tuple(project.outliers(name) for name in SYNTHESIS_METHODS)
    assert first(project, "ours").params == project.params.train


def test_a_synthesis_method_alone_is_trained_on_its_own_outliers(project):
    assert first(project, "only_copies").outliers == (project.outliers("copies"),)


def test_only_outlier_exposure_sees_real_outliers(project):
    seen = {name: first(project, name).exposure for name in ("mixup", "vos", "outlier_exposure")}
    assert seen == {"mixup": None, "vos": None, "outlier_exposure": project.latents("exposure")}


def test_peers_are_trained_as_cross_entropy_is(project):
    assert first(project, "vos").optimiser == project.params.teacher.optimiser
    assert project.params.teacher.optimiser != project.params.train.optimiser


def test_logit_norm_is_trained_as_long_as_cross_entropy_at_its_own_rate_and_clipped(project):
    clip = first(project, "logit_norm")
    found, baseline = clip.unit.params.optimiser, project.params.teacher.optimiser
    assert clip.norm == 1
    assert found.learning_rate == pytest.approx(2 * baseline.learning_rate)
    assert found.model_copy(update={"learning_rate": baseline.learning_rate}) == baseline


def test_a_clipped_training_is_another_one_and_is_clipped(project, monkeypatch):
    seen = []
    heads = [replace(logit_norm(1.0), clip=norm) for norm in (1.0, 0.5)]
    named = {f"{head.clip}": Method("", "candidate", head, None, "") for head in heads}
    more, clip = (found[0] for found in units(project, named).values())
    assert clip.unit.params == more.unit.params
    assert clip.output.name.split("-")[-1] != more.output.name.split("-")[-1]
    weights = [torch.nn.Parameter(torch.zeros(2))]

    def training(_):
        optimiser = torch.optim.SGD(weights, 1.0)
        weights[0].grad = torch.tensor([3.0, 4.0])
        optimiser.step()
        seen.append(weights[0].detach().clone())

    monkeypatch.setattr(leaderboard_training, "train_detector", training)
    train(clip)
    train(clip.unit)
    torch.testing.assert_close(seen, [torch.tensor([-0.3, -0.4]), torch.tensor([-3.3, -4.4])], atol=1e-5, rtol=0)


def test_the_networks_of_cross_entropy_are_the_teachers(project):
    methods = {name: METHODS[name] for name in ("cross_entropy", "vos")}
    found = units(project, methods)
    assert [*found] == ["vos"]
    assert networks(project, found, "cross_entropy") == (project.teacher(0), project.teacher(1))
    assert len(set(networks(project, found, "vos"))) == 2


def test_other_outliers_are_another_training_only_for_who_reads_them(project):
    before = {name: first(project, name).output for name in ("ours", "only_copies", "vos")}
    outliers_store(project.outliers("shuffle"), seed=5)
    after = {name: first(project, name).output for name in before}
    assert [name for name in before if before[name] != after[name]] == ["ours"]


def test_a_size_is_the_first_rows_of_a_larger_one(project):
    small, large = (stores_of(project, Library(("shuffle",), rows=rows))[0] for rows in (32, 300))
    assert (Store(small).rows, Store(large).rows) == (32, 300)
    np.testing.assert_array_equal(Store(small).latents(), Store(large).latents()[:32])


def test_a_size_is_synthesized_once(project):
    (store,) = stores_of(project, Library(("shuffle",), rows=32))
    made = store.stat().st_mtime_ns
    assert stores_of(project, Library(("shuffle",), rows=32)) == (store,)
    assert store.stat().st_mtime_ns == made
    assert plain_yaml((store.parent / "params.yaml").read_text())["synthesize"]["shuffle"]["rows"] == 32
