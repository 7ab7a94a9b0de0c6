"""Each side is judged by its own networks, against the ID training features, on the images of each set."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from pipeline.latents.latents import load_id_train, load_latents
from pipeline.networks.saved_network import load_network, save_network
from pipeline.params.infer import InferParams
from pipeline.posthoc import scoring
from pipeline.posthoc.fitted import score_class
from pipeline.posthoc.score import NetworkOutputs
from pipeline.posthoc.scores.energy import Energy
from pipeline.posthoc.scoring import score_table
from pipeline.runtime.errors import IncompatibleStoreError, ModelError, ScoreError
from pipeline.runtime.files import file_digest
from pipeline.store.format import Standardisation
from tests.helpers.make import default_params, latents_store, network_card, section

NETWORKS = {"baseline": Path("teachers"), "detector": Path("detectors")}
PARAMS = section(InferParams, default_params()["infer"] | {"knn_neighbours": 4})
CARD = network_card("teacher")


def saved(side, seed, card=CARD, scale=1.0):
    torch.manual_seed(10 * seed + len(side) + (side == "detector"))
    network = card.build().eval()
    with torch.no_grad():
        network.head.weight *= scale
    save_network(NETWORKS[side] / str(seed), network, card, [])
    return network


@pytest.fixture
def latents():
    id_train = load_id_train(latents_store(Path("id_train")))
    names = {"id_validation": 4, "id_test": 5, "noise": 6}
    sets = {
        name: load_latents(latents_store(Path(name), seed=seed, per_class=10), id_train.header)
        for name, seed in names.items()
    }
    return id_train, sets


def test_scores_and_predictions_are_of_the_right_network_bank_and_images(latents):
    id_train, sets = latents
    networks = {(side, seed): saved(side, seed) for side in NETWORKS for seed in (0, 1)}
    steps = []
    found = score_table((0, 1), NETWORKS, id_train, sets, PARAMS, steps.append)
    assert steps == [1] * 4
    for (side, seed), network in networks.items():
        with torch.no_grad():
            bank = normalize(network(id_train.values).features.double(), dim=1)
            for name, images in sets.items():
                outputs = NetworkOutputs(*(part.double() for part in network(images.values)))
                energy = score_class("energy")(PARAMS, {}).score(outputs)
                knn = score_class("knn")(PARAMS, {"bank": normalize(bank, dim=1)}).score(outputs)
                np.testing.assert_allclose(found.scores[side, name, "energy"][seed], energy, rtol=1e-5)
                np.testing.assert_allclose(found.scores[side, name, "knn"][seed], knn, rtol=1e-4, atol=1e-6)
                np.testing.assert_array_equal(found.predicted[side, name][seed], outputs.logits.argmax(1))


def test_the_table_says_of_which_images_and_weights_it_is(latents):
    id_train, sets = latents
    for side in NETWORKS:
        saved(side, 3)
    found = score_table((3,), NETWORKS, id_train, sets, PARAMS, lambda _: None)
    assert found.weights == {3: file_digest(Path("detectors/3/model.safetensors"))}
    for name, images in sets.items():
        np.testing.assert_array_equal(found.labels[name], images.labels)
        np.testing.assert_array_equal(found.contents[name], images.contents)


def test_a_network_of_other_latents_is_refused(latents):
    other = Standardisation(mean=(1.0,) * 4, std=(1.0,) * 4)
    saved("baseline", 0, CARD.model_copy(update={"standardisation": other}))
    with pytest.raises(IncompatibleStoreError, match="teachers/0: its standardisation is"):
        score_table((0,), NETWORKS, *latents, PARAMS, lambda _: None)


def test_a_network_that_diverged_is_named(latents, monkeypatch):
    saved("baseline", 0)
    broken = lambda _, values: NetworkOutputs(*(torch.full((len(values), width), torch.nan) for width in (3, 8)))  # noqa: E731
    monkeypatch.setattr(scoring, "network_outputs", broken)
    message = "teachers/0: its outputs on id_train are not finite for 90 of 90 images, wanted all. The network diverged"
    with pytest.raises(ScoreError, match=message):
        score_table((0,), NETWORKS, *latents, PARAMS, lambda _: None)


def test_a_score_that_is_not_finite_is_named(latents, monkeypatch):
    saved("baseline", 0)
    monkeypatch.setattr(Energy, "score", lambda _, outputs: torch.full((len(outputs.logits),), torch.nan))
    with pytest.raises(
        ScoreError, match="teachers/0: its score energy of id_validation is not finite for 30 of 30 images"
    ):
        score_table((0,), NETWORKS, *latents, PARAMS, lambda _: None)


def test_weights_that_are_not_finite_are_neither_saved_nor_loaded():
    with pytest.raises(ModelError, match="teachers/0: 24 of 24 values of 'head.weight' are not finite"):
        saved("baseline", 0, scale=float("nan"))
    saved("baseline", 0)
    weights = load_file("teachers/0/model.safetensors")
    weights["head.bias"][1] = torch.inf
    save_file(weights, "teachers/0/model.safetensors")
    with pytest.raises(ModelError, match="teachers/0: no trained network .*1 of 3 values of 'head.bias' are not fin"):
        load_network(Path("teachers/0"), CARD.space, CARD.class_names)


def test_a_set_of_other_classes_is_refused(latents):
    id_train, _ = latents
    with pytest.raises(IncompatibleStoreError, match="other: its class list is"):
        load_latents(latents_store(Path("other"), classes=2), id_train.header)
