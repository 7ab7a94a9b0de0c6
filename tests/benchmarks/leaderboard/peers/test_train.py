"""Every peer trains a network that can be read, learns an easy task and repeats to the bit."""

import pickle
from pathlib import Path

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from benchmarks.leaderboard.peers.train import PEERS, train_peer
from benchmarks.leaderboard.peers.unit import PeerUnit
from pipeline.latents.latents import load_id_train
from pipeline.networks.saved_network import load_network, predict
from pipeline.params.networks import NetworkParams, OptimiserParams
from pipeline.params.teacher import TeacherParams
from pipeline.runtime.files import folder_digest, read_json
from pipeline.training.teacher import TeacherUnit, train_teacher
from tests.helpers.make import latents_store

NETWORK = NetworkParams(width=16, blocks=(1,), latent_mean=False)
OPTIMISER = OptimiserParams(epochs=20, batch_size=32, learning_rate=0.05, momentum=0.9, weight_decay=0.0005)


@pytest.fixture
def latents():
    latents_store(Path("outliers"), seed=7)
    return load_id_train(latents_store(Path("id")))


def unit(peer, output="out", exposure=Path("outliers"), optimiser=OPTIMISER):
    return PeerUnit(peer, 3, NETWORK, optimiser, Path("id"), exposure, Path(output), Path(f"{output}.csv"))


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_learns_an_easy_task_and_repeats_to_the_bit(latents, peer):
    torch.set_num_threads(1)
    for output in ("out", "again"):
        train_peer(pickle.loads(pickle.dumps(unit(peer, output))))
    found = load_network(Path("out"), latents.header.space, latents.class_names)
    assert (found.card.role, found.card.seed, found.card.head.kind) == ("detector", 3, "linear")
    predicted = predict(found.network, latents.values)[0].argmax(1).numpy()
    assert (predicted == latents.labels).mean() > 0.9
    assert folder_digest(Path("again")) == folder_digest(Path("out"))
    assert Path("again.csv").read_bytes() == Path("out.csv").read_bytes()


@pytest.mark.parametrize(("peer", "loss"), [("vos", "uncertainty"), ("npos", "open_set")])
def test_outliers_are_synthesized_in_the_last_epochs(latents, peer, loss):
    train_peer(unit(peer))
    found = [epoch[loss] > 0 for epoch in read_json(Path("out/history.json"))]
    assert found == [False] * 8 + [True] * 12


@pytest.mark.parametrize("peer", ["vos", "npos", "npos_cross_entropy"])
def test_what_a_peer_learns_beside_the_network_is_trained_along(latents, monkeypatch, peer):
    made = []

    def remembered(setting):
        made.append(method(setting))
        made.append(parameters_to_vector(made[0].parameters()).detach())
        return made[0]

    method = PEERS[peer]
    monkeypatch.setitem(PEERS, peer, remembered)
    train_peer(unit(peer))
    assert (parameters_to_vector(made[0].parameters()) != made[1]).all()


def test_a_peer_begins_with_the_weights_and_the_batches_of_the_teacher_of_its_seed(latents):
    params = TeacherParams(start="scratch", network=NETWORK, optimiser=OPTIMISER)
    torch.set_num_threads(1)
    train_teacher(TeacherUnit(3, params, Path("encoder"), Path("id"), None, None, Path("teacher"), Path("teacher.csv")))
    train_peer(unit("vos"))
    teacher, vos = (read_json(Path(folder) / "history.json") for folder in ("teacher", "out"))
    same = [one["cross_entropy"] == other["cross_entropy"] for one, other in zip(teacher, vos, strict=True)]
    assert same == [True] * 8 + [False] * 12


def test_exposure_without_real_outliers_is_an_error(latents):
    with pytest.raises(ValueError, match="wants latents of real outliers"):
        train_peer(unit("outlier_exposure", exposure=None))
    assert not Path("out").exists()
