"""The detector minimises the weighted sum it says, and a weight of zero switches a loss off."""

import numpy as np
import pytest
import torch

from pipeline.networks.resnet import Prediction
from pipeline.train.objective import objective
from pipeline.train.params import TrainParams
from tests import oracles
from tests.make import changed, default_params, section

RNG = np.random.default_rng(0)
KNOWN = Prediction(torch.tensor(RNG.standard_normal((4, 3))), torch.tensor(RNG.standard_normal((4, 5))))
OUTLIERS = Prediction(torch.tensor(RNG.standard_normal((6, 3))), torch.tensor(RNG.standard_normal((6, 5))))
LABELS, TEACHER = torch.tensor([0, 0, 1, 1]), torch.tensor(RNG.standard_normal((4, 3)))
WEIGHTS = {"outlier_exposure__weight": 0.3, "micl__weight": 0.7, "distillation__weight": 0.9}


def losses(**changes):
    params = section(TrainParams, changed(default_params()["train"], **(WEIGHTS | changes)))
    return params, objective(KNOWN, OUTLIERS, LABELS, TEACHER, params)


def test_each_loss_is_its_weighted_mean():
    params, found = losses()
    features, outliers = KNOWN.features.tolist(), OUTLIERS.features.tolist()
    contrast = oracles.info_nce(features, LABELS.tolist(), outliers, params.micl.temperature)
    kept = oracles.distillation(KNOWN.logits.tolist(), TEACHER.tolist(), params.distillation.temperature)
    hits = [oracles.softmax(row)[label] for row, label in zip(KNOWN.logits.tolist(), LABELS, strict=True)]
    wanted = {
        "cross_entropy": -np.mean(np.log(hits)),
        "outlier_exposure": 0.3 * np.mean(oracles.outlier_exposure(OUTLIERS.logits.tolist())),
        "micl": 0.7 * np.mean(contrast),
        "distillation": 0.9 * np.mean(kept),
    }
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-10), name


@pytest.mark.parametrize("name", ["outlier_exposure", "micl", "distillation"])
def test_a_weight_of_zero_switches_its_loss_off(name):
    _, found = losses(**{f"{name}__weight": 0})
    assert set(found) == {"cross_entropy", "outlier_exposure", "micl", "distillation"} - {name}
