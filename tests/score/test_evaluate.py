"""Each side is judged by its own networks, against the ID training features, on the images of each set."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import IncompatibleStoreError
from pipeline.latents import load_id_train, load_latents
from pipeline.networks.folder import NetworkCard, save_network
from pipeline.networks.params import LinearParams, NetworkParams
from pipeline.score.evaluate import evaluate
from pipeline.score.scores import energy_score, knn_score
from pipeline.store.format import Standardisation
from tests.make import SPACE, UNIT, latents_store

FOLDERS = {"baseline": Path("teachers"), "detector": Path("detectors")}
CARD = NetworkCard(
    role="teacher",
    seed=0,
    network=NetworkParams(width=8, blocks=(1,)),
    head=LinearParams(kind="linear"),
    space=SPACE,
    standardisation=UNIT,
    class_names=("class 0", "class 1", "class 2"),
)


def saved(side, seed, card=CARD):
    torch.manual_seed(10 * seed + len(side) + (side == "detector"))
    network = card.build().eval()
    save_network(FOLDERS[side] / str(seed), network, card, [])
    return network


@pytest.fixture
def latents():
    id_train = load_id_train(latents_store(Path("id_train")))
    names = {"id_test": 5, "noise": 6}
    sets = {
        name: load_latents(latents_store(Path(name), seed=seed, per_class=10), id_train.header)
        for name, seed in names.items()
    }
    return id_train, sets


def test_scores_and_accuracy_are_of_the_right_network_bank_and_images(latents):
    id_train, sets = latents
    networks = {(side, seed): saved(side, seed) for side in FOLDERS for seed in (0, 1)}
    steps = []
    found = evaluate((0, 1), FOLDERS, id_train, sets, 4, steps.append)
    assert steps == [1] * 4
    for (side, seed), network in networks.items():
        with torch.no_grad():
            bank = network(id_train.values).features.double()
            for name, images in sets.items():
                logits, features = (part.double() for part in network(images.values))
                np.testing.assert_allclose(found.of(side, name, "energy")[seed], energy_score(logits), rtol=1e-5)
                np.testing.assert_allclose(
                    found.of(side, name, "knn")[seed], knn_score(features, bank, 4), rtol=1e-4, atol=1e-6
                )
            hits = network(sets["id_test"].values).logits.argmax(1).numpy() == sets["id_test"].labels
        assert found.accuracy[side][seed] == pytest.approx(hits.mean())


def test_a_network_of_other_latents_is_refused(latents):
    other = Standardisation(mean=(1.0,) * 4, std=(1.0,) * 4)
    saved("baseline", 0, CARD.model_copy(update={"standardisation": other}))
    with pytest.raises(IncompatibleStoreError, match="teachers/0: its standardisation is"):
        evaluate((0,), FOLDERS, *latents, 4, lambda _: None)


def test_a_set_of_other_classes_is_refused(latents):
    id_train, _ = latents
    with pytest.raises(IncompatibleStoreError, match="other: its class list is"):
        load_latents(latents_store(Path("other"), classes=2), id_train.header)
