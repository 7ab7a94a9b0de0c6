"""Every network scores every set, and what cannot be used is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.leaderboard import scoring
from benchmarks.leaderboard.scoring import HITS, ScoringUnit, load_scores, score_networks
from pipeline.latents.latents import load_latents
from pipeline.networks.saved_network import predict, save_network
from pipeline.params.infer import SCORES, InferParams
from pipeline.posthoc.fitted import score_class
from pipeline.posthoc.score import NetworkOutputs
from pipeline.runtime.errors import ScoreError
from pipeline.store.reader import Store
from tests.helpers.make import default_params, latents_store, network_card, section

CARD = network_card("detector")
SETS = {"id_test": 5, "noise": 6}


def saved(seed):
    torch.manual_seed(seed)
    network = CARD.build().eval()
    save_network(Path("trained") / str(seed), network, CARD, [])
    return network


@pytest.fixture
def unit():
    sets = {name: latents_store(Path(name), seed=seed, per_class=10) for name, seed in SETS.items()}
    params = section(InferParams, default_params()["infer"] | {"knn_neighbours": 4})
    networks = (Path("trained/0"), Path("trained/1"))
    known, validation = latents_store(Path("id_train")), latents_store(Path("id_validation"), seed=1)
    return ScoringUnit(networks, known, validation, tuple(sets.items()), params, Path("scored"))


def test_scores_are_those_of_each_network_on_each_set(unit):
    networks = [saved(seed) for seed in (0, 1)]
    score_networks(unit)
    found = load_scores(unit)
    noise = load_latents(Path("noise"), Store(unit.id_train).header).values
    for seed, network in enumerate(networks):
        energy = score_class("energy")(unit.params, {}).score(
            NetworkOutputs(*map(torch.Tensor.double, predict(network, noise)))
        )
        np.testing.assert_array_equal(found.of["noise"]["energy"][seed], energy)
    assert {score: values.shape for score, values in found.of["noise"].items()} == dict.fromkeys(SCORES, (2, 30))


def test_hits_are_the_images_whose_class_is_predicted(unit):
    networks = [saved(seed) for seed in (0, 1)]
    score_networks(unit)
    test = load_latents(Path("id_test"), Store(unit.id_train).header)
    wanted = [predict(network, test.values)[0].argmax(1).numpy() == test.labels for network in networks]
    np.testing.assert_array_equal(load_scores(unit).hits, wanted)
    assert HITS not in load_scores(unit).of


def test_a_network_whose_outputs_are_not_finite_is_named(unit, monkeypatch):
    saved(0)
    saved(1)
    broken = lambda _, values: NetworkOutputs(*(torch.full((len(values), width), torch.nan) for width in (3, 8)))  # noqa: E731
    monkeypatch.setattr(scoring, "network_outputs", broken)
    with pytest.raises(ScoreError, match="trained/0: its outputs are not finite"):
        score_networks(unit)
    assert not unit.output.exists()
