"""The detector minimises the weighted sum it says, a weight of zero switches a loss off, and nothing is undefined."""

import numpy as np
import pytest
import torch

from pipeline.losses.club import club
from pipeline.networks.outputs import TeacherOutputs
from pipeline.networks.resnet import Prediction
from pipeline.params.train import TrainParams
from pipeline.training.objective import BatchOutputs, Objective
from tests.helpers import oracles
from tests.helpers.make import changed, default_params, section

RNG = np.random.default_rng(0)
CPU = torch.device("cpu")
WEIGHTS = {
    "mixing": 0.8,
    "outlier_exposure": 0.3,
    "energy_bound": 0.2,
    "reconstruction": 0.1,
    "micl__info_nce": 0.7,
    "micl__club": 0.4,
    "micl__paper": 0.6,
    "distillation__logits": 0.9,
    "distillation__features": 0.5,
}
NAMES = dict(
    zip(
        WEIGHTS,
        (
            "mixing",
            "outlier_exposure",
            "energy_bound",
            "reconstruction",
            "info_nce",
            "club",
            "paper",
            "logit_distillation",
            "feature_distillation",
        ),
        strict=True,
    )
)


def normal(*shape):
    return torch.tensor(RNG.standard_normal(shape))


OUTPUTS = BatchOutputs(
    id_latents=normal(4, 2, 3, 3),
    id_rows=Prediction(normal(4, 3), normal(4, 5)),
    margin_logits=normal(4, 3),
    labels=torch.tensor([0, 0, 1, 1]),
    mixed_logits=normal(5, 3),
    mixed_targets=normal(5, 3).softmax(1),
    outliers=Prediction(normal(6, 3), normal(6, 5)),
    outlier_targets=normal(6, 3).softmax(1),
    parent_features=normal(5, 5),
    child_features=normal(5, 5),
    teacher=TeacherOutputs(normal(4, 3), normal(4, 7)),
)


def losses(outputs=OUTPUTS, **weights):
    settings = {f"{name}__weight": value for name, value in (WEIGHTS | weights).items()}
    params = section(TrainParams, changed(default_params()["train"], **settings))
    torch.manual_seed(0)
    objective = Objective(params, 5, 7, (2, 3, 3), CPU).double()
    if params.micl.club.weight:
        objective.club.posterior.double()
    if params.micl.paper.weight:
        objective.never_fitted[0].double()
    return objective, objective(outputs)


def mean(values):
    return float(np.mean(np.asarray(values)))


def test_each_loss_is_its_weighted_mean():
    objective, found = losses()
    params, id_rows, outliers = objective.params, OUTPUTS.id_rows, OUTPUTS.outliers
    hits = [
        oracles.softmax(row)[label] for row, label in zip(OUTPUTS.margin_logits.tolist(), OUTPUTS.labels, strict=True)
    ]
    contrast = oracles.info_nce(
        id_rows.features.tolist(), OUTPUTS.labels.tolist(), outliers.features.tolist(), params.micl.info_nce.temperature
    )
    logits = params.distillation.logits.temperature
    mixes = zip(OUTPUTS.mixed_logits.tolist(), OUTPUTS.mixed_targets.tolist(), strict=True)
    unsure = [-np.dot(target, np.log(oracles.softmax(row))) for row, target in mixes]
    wanted = {
        "cross_entropy": -mean(np.log(hits)),
        "mixing": 0.8 * mean(unsure),
        "outlier_exposure": 0.3
        * mean(oracles.outlier_exposure(outliers.logits.tolist(), OUTPUTS.outlier_targets.tolist())),
        "info_nce": 0.7 * mean(contrast),
        "logit_distillation": 0.9
        * mean(oracles.distillation(id_rows.logits.tolist(), OUTPUTS.teacher.logits.tolist(), logits)),
    }
    for name, value in wanted.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-10), name
    assert set(found) == {"cross_entropy", *NAMES.values()}


def test_energies_are_bounded_on_both_sides():
    _, found = losses()
    energies = [-torch.logsumexp(side.logits, 1).numpy() for side in (OUTPUTS.id_rows, OUTPUTS.outliers)]
    wanted = np.mean(np.maximum(0, energies[0] + 7) ** 2) + np.mean(np.maximum(0, -3 - energies[1]) ** 2)
    assert float(found["energy_bound"]) == pytest.approx(0.2 * wanted, rel=1e-10)


def test_club_pairs_each_outlier_with_its_parent_at_a_common_length_after_its_fit():
    objective, found = losses()
    pairs = [
        np.sqrt(5) * torch.nn.functional.normalize(rows) for rows in (OUTPUTS.parent_features, OUTPUTS.child_features)
    ]
    assert float(found["club"]) == pytest.approx(0.4 * float(club(*pairs, objective.club.posterior).mean()), rel=1e-10)


def test_latents_are_guessed_from_the_features_of_their_own_rows():
    objective, found = losses()
    decoded = objective.decoder(OUTPUTS.id_rows.features).tolist()
    wanted = mean(oracles.reconstruction(np.array(decoded), OUTPUTS.id_latents.numpy()))
    assert found["reconstruction"].item() == pytest.approx(0.1 * wanted, rel=1e-10)


def test_translator_and_decoder_learn_along_and_posteriors_do_not():
    objective, found = losses()
    assert {name.split(".")[0] for name, _ in objective.named_parameters()} == {"decoder", "translator"}
    sum(found.values()).backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())
    assert all(parameter.grad is None for parameter in objective.never_fitted[0].parameters())


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_of_zero_switches_its_loss_off(name):
    _, found = losses(**{name: 0})
    assert set(found) == {"cross_entropy", *NAMES.values()} - {NAMES[name]}


def test_outliers_without_parents_give_club_zero_with_a_gradient():
    nobody = torch.zeros(0, 5, dtype=torch.float64, requires_grad=True)
    _, found = losses(OUTPUTS._replace(parent_features=nobody, child_features=nobody))
    found["club"].backward()
    assert found["club"].item() == 0


def test_only_losses_on_outliers_ask_for_them():
    for name in WEIGHTS:
        only = {f"{other}__weight": float(other == name) for other in WEIGHTS}
        params = section(TrainParams, changed(default_params()["train"], **only))
        assert params.uses_outliers == (not name.startswith(("distillation", "mixing", "reconstruction"))), name
