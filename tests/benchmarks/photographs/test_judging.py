"""The order of images gives every metric, and a threshold flags the images above it."""

import numpy as np
import pytest
import torch

from benchmarks.photographs.judging import judged, network_scores, ranks, scores_of
from pipeline.params.infer import SCORES, InferParams
from pipeline.posthoc.metrics import metrics
from pipeline.posthoc.score import NetworkOutputs
from pipeline.training.rival import linear_head
from tests.helpers.make import default_params, section

SETS = ("id_validation", "id_test", "near", "far", "foreign")


def test_metrics_of_ranks_are_those_of_scores_also_with_ties():
    rng = np.random.default_rng(0)
    scores = {name: np.round(rng.normal(shift, 1, 50), 1) for name, shift in (("id_test", 0), ("near", 1), ("far", 2))}
    order = scores_of(ranks(scores))
    for name in ("near", "far"):
        assert metrics(order["id_test"], order[name]) == metrics(scores["id_test"], scores[name])


def test_equal_scores_share_a_place():
    assert ranks({"id_test": np.array([0.5, -1.0]), "near": np.array([0.5, 2.5])}) == {"id_test": "1 0", "near": "1 2"}


def test_shares_above_the_threshold_and_accuracy_are_counted():
    scores = {name: {"msp": np.arange(20.0)} for name in SETS}
    scores["foreign"] = {"msp": np.array([0.0, 18.4, 18.6, 30.0])}
    scores["near"] = {"msp": np.array([19.0, 5.0])}
    found = judged(scores, np.array([True, True, True, False]), 0.05, ranked=("msp",))
    (entry,) = found["scores"].values()
    assert entry["threshold"] == 18.5
    assert entry["flagged"] == {"id_validation": 0.05, "id_test": 0.05, "near": 0.5, "far": 0.05, "foreign": 0.5}
    assert entry["near"]["auroc"] == pytest.approx((19.5 + 5.5) / 40)
    assert (found["id_accuracy"], found["hits"]) == (0.75, "1 1 1 0")


def test_a_head_has_every_post_hoc_score_of_the_pipeline():
    rng, params = np.random.default_rng(0), section(InferParams, default_params()["infer"])
    weight, bias = rng.standard_normal((3, 8)), rng.standard_normal(3)
    features = {name: rng.standard_normal((40, 8)) for name in ("id_train", *SETS)}
    outputs = {
        name: NetworkOutputs(torch.from_numpy(of @ weight.T + bias), torch.from_numpy(of))
        for name, of in features.items()
    }
    scores = network_scores(linear_head(weight, bias), outputs, torch.arange(40) % 3, params)
    assert set(scores) == set(SETS)
    logits = outputs["near"].logits.numpy()
    np.testing.assert_allclose(scores["near"]["energy"], -np.log(np.exp(logits).sum(1)))
    assert all(set(of) == set(SCORES) for of in scores.values())
