"""On a GPU the draws are the CPU's, values agree within float16, and training repeats to the bit."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.peers.train import PEERS, train_peer
from benchmarks.leaderboard.peers.unit import PeerUnit
from pipeline.detector.detector import Detector
from pipeline.latents.latents import load_id_train
from pipeline.latents.view_rows import write_card as write_views_card
from pipeline.networks.denoiser import untrained
from pipeline.networks.pretrained_teacher import write_card
from pipeline.networks.resnet import LatentResNet
from pipeline.params.data import DataParams
from pipeline.params.denoiser import DenoiserParams
from pipeline.params.encoder import TrainedParams
from pipeline.params.infer import InferParams
from pipeline.params.networks import LinearParams, NetworkParams, OptimiserParams
from pipeline.params.train import TrainParams
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import NetworkOutputs
from pipeline.runtime.device import UNIT_THREADS, prepare_torch
from pipeline.runtime.files import folder_digest
from pipeline.store.reader import Store
from pipeline.training.autoencoder import train_autoencoder
from pipeline.training.denoiser import CHECKPOINT, train_denoiser
from pipeline.training.detector import DetectorUnit, train_detector
from pipeline.training.gradients import Gradients, Step
from pipeline.training.loop import fit, ignore_history
from stages.synthesize import synthesize
from stages.teacher import teacher
from tests.detector.make import pictures, tiny_bundle
from tests.helpers.make import SPACE, denoiser_of, latents_store, outliers_store, section, tiny_params, write_params

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
GPU = torch.device("cuda")


@pytest.fixture(autouse=True)
def on_the_gpu(on_the_cpu, monkeypatch):
    """Elsewhere tests are kept on the CPU."""
    monkeypatch.setenv("LATENT_OUTLIERS_DEVICE", "cuda")


def squares(network):
    return lambda values: {"squares": network(values).square().mean()}


@pytest.mark.parametrize("method", ["perturb", "mixup", "shuffle", "label_mixup", "gaussian", "copies"])
def test_synthesis_agrees_with_the_cpu(method, monkeypatch):
    latents_store(Path("id"))
    made = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("LATENT_OUTLIERS_DEVICE", device)
        params = write_params(Path(), tiny_params(synthesize__methods=[method]))
        synthesize(method, Path("id"), denoiser_of(method), Path(device), params, workers=1)
        made[device] = Store(Path(device))
    for name in ("parent_a", "parent_b", "lam", "method"):
        np.testing.assert_array_equal(made["cpu"].column(name), made["cuda"].column(name))
    values = (made[device].latents().astype(np.float32) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(*values, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("recordable", [True, False])
def test_a_classifier_trains_repeatably_recorded_or_not(recordable):
    """Batches are of 16, 16, 16 and 12 rows: the last one is computed between replays."""
    prepare_torch(UNIT_THREADS)

    def trained(*, recordable):
        torch.manual_seed(0)
        network = LatentResNet(
            4, 3, NetworkParams(width=8, blocks=(1, 1), latent_mean=False), LinearParams(kind="linear")
        ).to(GPU)
        latents, labels = torch.randn(60, 4, 4, 4).to(GPU), torch.arange(60).to(GPU) % 3
        params = OptimiserParams(epochs=2, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=0.0)

        def draw(batch):
            return latents[batch.to(GPU)], labels[batch.to(GPU)]

        def losses(values, labels):
            return {"ce": cross_entropy(network(values).logits, labels)}

        step = Step(draw, losses, recordable=recordable)
        history = fit(network, 60, step, params, torch.Generator().manual_seed(0), ignore_history)
        return history, network.state_dict()

    (told, first), (told_again, again), (_, other) = (
        trained(recordable=way) for way in (recordable, recordable, False)
    )
    assert told == told_again
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name, values in first.items():
        torch.testing.assert_close(values, other[name], rtol=1e-3, atol=1e-4)


def test_a_recorded_step_leaves_the_gradients_of_its_batch():
    torch.manual_seed(0)
    network, batches = torch.nn.Linear(5, 1).to(GPU), torch.randn(6, 4, 5).to(GPU)
    gradients = Gradients(
        network, Step(lambda index: (batches[index.to(GPU)],), recordable=True, losses=squares(network))
    )
    for index in (0, 3, 5, 0):
        found = gradients(torch.tensor(index))
        told = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
        wanted = squares(network)(batches[index])["squares"]
        network.zero_grad()
        wanted.backward()
        torch.testing.assert_close(found["squares"], wanted.detach())
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(told[name], parameter.grad)


def test_an_autoencoder_trains_repeatably():
    prepare_torch(UNIT_THREADS)
    content = tiny_params()
    images = section(DataParams, content["data"]).open("id_validation")
    params = section(TrainedParams, content["encoder"]["trained"])
    first, again = (
        train_autoencoder(images, 32, params, GPU, lambda _: None, ignore_history).state_dict() for _ in range(2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_denoiser_trains_repeatably(tmp_path):
    prepare_torch(UNIT_THREADS)
    params = section(DenoiserParams, tiny_params()["denoiser"])
    latents, labels = torch.randn(60, 4, 4, 4).to(GPU), torch.arange(60).to(GPU) % 3

    def trained():
        torch.manual_seed(0)
        denoiser = untrained(SPACE, 3, params).to(GPU)
        train_denoiser(denoiser, latents, labels, params, tmp_path, ignore_history)
        (tmp_path / CHECKPOINT).unlink()
        return denoiser.state_dict()

    first, again = trained(), trained()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_detector_decides_as_on_the_cpu():
    """Other than by the rounding of float32: TF32 would move scores by a thousandth, and some over the threshold."""
    folder, images = tiny_bundle(Path("bundle")), pictures(200)
    on_cpu, on_gpu = (Detector.load(folder, device=device).predict(images) for device in ("cpu", "cuda"))
    threshold = Detector.load(folder).threshold
    for one, other in zip(on_cpu, on_gpu, strict=True):
        assert one.label == other.label
        assert abs(one.outlier_score - other.outlier_score) < 1e-4
        assert one.is_outlier == other.is_outlier or abs(one.outlier_score - threshold) < 1e-4


def test_scores_agree_with_the_cpu():
    """All are computed in float64 on both, from the same float32 outputs."""
    torch.manual_seed(0)
    head = torch.nn.Linear(16, 3)
    network = SimpleNamespace(head=head)
    params = section(InferParams, tiny_params()["infer"])
    known, validation, asked = (
        NetworkOutputs(torch.randn(n, 3).double(), torch.randn(n, 16).double()) for n in (90, 20, 40)
    )
    labels = torch.arange(90) % 3
    on_cpu = fit_scores(network, known, labels, validation, params)(asked)
    fitted = fit_scores(network, known.to(GPU), labels, validation.to(GPU), params)
    for found in (fitted(asked.to(GPU)), fitted.to(torch.device("cpu"))(asked)):
        assert {values.device.type for values in found.values()} == {"cpu"}
        for score, values in found.items():
            np.testing.assert_allclose(values, on_cpu[score].detach(), rtol=1e-7, atol=1e-9, err_msg=score)


HEADS = [
    {"kind": "linear"},
    {"kind": "logit_norm", "temperature": 0.1},
    {"kind": "sphereface", "margin": 2.0},
    {"kind": "cosface", "scale": 16.0, "margin": 0.2},
    {"kind": "arcface", "scale": 16.0, "margin": 0.2},
    {"kind": "adacos"},
]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head["kind"])
def test_every_head_and_every_loss_train_repeatably(head):
    """A kernel without a repeatable implementation would end this with an error."""
    latents = latents_store(Path("id"))
    made_from = load_id_train(latents).digest
    outliers = outliers_store(Path("outliers"), latents=made_from, parent_a=np.arange(40), parent_b=np.arange(40))
    losses = ("mixing", "outlier_exposure", "energy_bound", "reconstruction")
    losses += ("micl__info_nce", "micl__club", "micl__paper", "distillation__logits", "distillation__features")
    weights = {f"train__{name}__weight": 0.1 for name in losses}
    content = tiny_params(**weights, train__head=head)
    write_views_card(Path("views"), 0)
    params = write_params(Path(), content)
    teacher(Path("encoder"), latents, Path("views"), latents, Path("teachers"), Path("curves"), params, workers=1)
    Path("pretrained").mkdir()
    write_card(Path("pretrained"), None)
    for name in ("a", "b"):
        train_detector(
            DetectorUnit(
                seed=0,
                params=section(TrainParams, content["train"]),
                latents=latents,
                views=None,
                validation=latents,
                outliers=(outliers,),
                teacher=Path("teachers/0"),
                pretrained_teacher=Path("pretrained"),
                output=Path(name),
                curve=Path(name).with_suffix(".csv"),
            )
        )
    assert folder_digest(Path("a")) == folder_digest(Path("b"))


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_trains_repeatably(peer):
    """The published methods that our default is compared with."""
    latents_store(Path("id"))
    latents_store(Path("exposure"), seed=7)
    network = NetworkParams(width=16, blocks=(1,), latent_mean=False)
    optimiser = OptimiserParams(epochs=5, batch_size=32, learning_rate=0.05, momentum=0.9, weight_decay=0.0005)
    for name in ("a", "b"):
        train_peer(
            PeerUnit(
                peer=peer,
                seed=3,
                network=network,
                optimiser=optimiser,
                latents=Path("id"),
                views=None,
                exposure=Path("exposure"),
                output=Path(name),
                curve=Path(name).with_suffix(".csv"),
            )
        )
    assert folder_digest(Path("a")) == folder_digest(Path("b"))
