"""A step shows the network ID rows, outliers and their parents, and compares each with what belongs to it."""

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.latents.view_rows import TrainingRows, load_training_rows
from pipeline.networks.outputs import TeacherOutputs
from pipeline.networks.resnet import LatentResNet, Prediction
from pipeline.params.methods.base import NOBODY
from pipeline.params.networks import ArcFaceParams, NetworkParams
from pipeline.params.train import TrainParams
from pipeline.store.reader import Store
from pipeline.training.detector import Batches, DetectorStep
from pipeline.training.draws import OutlierBatch
from pipeline.training.mixing import Mixing
from pipeline.training.objective import BatchOutputs, Objective
from tests.helpers.make import changed, default_params, latents_store, section, views_store

CPU = torch.device("cpu")
ROWS = torch.tensor([70, 3, 41, 5, 88])
VALUES = torch.randn(6, 4, 4, 4, generator=torch.Generator().manual_seed(0))
OUTLIERS = OutlierBatch(
    VALUES,
    parents=torch.tensor([3, -1] * 3),
    views=torch.zeros(6, dtype=torch.int64),
    targets=torch.rand(6, 3, generator=torch.Generator().manual_seed(1)).softmax(1),
)


LOSSES = {
    "mixing__weight": 1.0,
    "outlier_exposure__weight": 0.5,
    "reconstruction__weight": 0.5,
    "micl__info_nce__weight": 0.5,
    "distillation__logits__weight": 0.5,
}


class Always:
    """Draws the same outliers every time, and says how often."""

    def __init__(self):
        self.drawn = 0

    def draw(self):
        self.drawn += 1
        return OUTLIERS


@pytest.fixture
def latents(tmp_path):
    return load_id_train(latents_store(tmp_path / "id"))


def make_step(latents, **changes):
    params = section(TrainParams, changed(default_params()["train"], **(LOSSES | changes)))
    torch.manual_seed(0)
    network = LatentResNet(
        4, 3, NetworkParams(width=8, blocks=(1,), latent_mean=False), ArcFaceParams(kind="arcface", scale=8, margin=1)
    )
    teacher, outliers = TeacherOutputs(torch.randn(90, 3), torch.randn(90, 7)), Always()
    mixing = Mixing(params.mixing, 3, torch.Generator().manual_seed(0))
    rows, labels = TrainingRows(latents, None, CPU), torch.from_numpy(latents.labels).long()
    batches = Batches(outliers, mixing, torch.Generator().manual_seed(0))
    return DetectorStep(network, Objective(params, 8, 7, (4, 4, 4), CPU), rows, labels, teacher, batches), outliers


def test_a_step_is_the_objective_of_its_rows(latents):
    step, _ = make_step(latents)
    network, labels = step.network, torch.tensor([2, 0, 1, 0, 2])
    id_rows = network(latents.values[ROWS])
    mixed = Mixing(step.batches.mixing.params, 3, torch.Generator().manual_seed(0))(latents.values[ROWS], labels)
    wanted = step.objective(
        BatchOutputs(
            id_latents=latents.values[ROWS],
            id_rows=id_rows,
            margin_logits=network.head.training_logits(id_rows.features, labels),
            labels=labels,
            mixed_logits=network(mixed.values).logits,
            mixed_targets=mixed.targets,
            outliers=network(OUTLIERS.values),
            outlier_targets=OUTLIERS.targets,
            parent_features=id_rows.features[:0],
            child_features=id_rows.features[:0],
            teacher=TeacherOutputs(*(values[ROWS] for values in step.teacher)),
        )
    )
    found = step.losses(*step.draw(ROWS))
    names = {"cross_entropy", "mixing", "outlier_exposure", "reconstruction", "info_nce", "logit_distillation"}
    assert set(found) == names
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name].item(), value.item(), rtol=1e-5)


def test_club_sees_the_outliers_that_have_parents_beside_these(latents):
    step, seen = make_step(latents, micl__club__weight=1.0)[0], []
    step.objective.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    step.losses(*step.draw(ROWS))
    assert (OUTLIERS.parents == NOBODY).sum() == 3
    parents, children = (step.network(rows) for rows in (latents.values[[3, 3, 3]], OUTLIERS.values[::2]))
    torch.testing.assert_close(seen[0].parent_features, parents.features)
    torch.testing.assert_close(seen[0].child_features, children.features)
    assert isinstance(seen[0].id_rows, Prediction)


def test_club_sees_the_view_that_a_parent_is(latents, tmp_path):
    step, seen = make_step(latents, micl__club__weight=1.0)[0], []
    step.rows = load_training_rows(views_store(tmp_path / "views", latents, 3), latents, CPU)
    step._draw_outliers = lambda: OUTLIERS._replace(views=torch.tensor([2, NOBODY, 0, NOBODY, 1, NOBODY]))
    step.objective.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    step.losses(*step.draw(ROWS))
    stored = torch.from_numpy(Store(tmp_path / "views/store").latents().astype(np.float32))
    parents = step.network(torch.stack([stored[3 * 3 + 1], latents.values[3], stored[3 * 3]]))
    torch.testing.assert_close(seen[0].parent_features, parents.features)


def test_outliers_that_no_loss_looks_at_are_not_drawn(latents):
    step, outliers = make_step(latents, outlier_exposure__weight=0.0, micl__info_nce__weight=0.0)
    assert set(step.losses(*step.draw(ROWS))) == {"cross_entropy", "mixing", "reconstruction", "logit_distillation"}
    assert outliers.drawn == 0


@pytest.mark.parametrize(
    ("changes", "recordable"),
    [
        ({}, True),
        ({"head": {"kind": "logit_norm", "temperature": 0.1}}, True),
        ({"head": {"kind": "adacos"}}, False),
        ({"head": {"kind": "sphereface", "margin": 2.0}}, False),
        ({"micl__club__weight": 0.1}, False),
        ({"micl__paper__weight": 0.1}, False),
    ],
)
def test_a_step_with_randomness_or_a_state_of_its_own_is_not_recorded(latents, changes, recordable):
    assert make_step(latents, **changes)[0].recordable == recordable
