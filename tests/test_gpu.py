"""On a GPU the draws are the CPU's, values agree within float16, and training repeats to the bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from pipeline.autoencoder.params import TrainingParams
from pipeline.autoencoder.train import train_autoencoder
from pipeline.device import UNIT_THREADS, repeatable
from pipeline.images.params import DataParams
from pipeline.images.source import open_image_set
from pipeline.networks.fit import fit
from pipeline.networks.params import LinearParams, NetworkParams, OptimiserParams
from pipeline.networks.resnet import LatentResNet
from pipeline.store.reader import Store
from pipeline.synthesize.run import Inputs, synthesize
from tests.make import latents_store, models, section, tiny_params, write_params

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
GPU = torch.device("cuda")


@pytest.mark.parametrize("method", ["perturb", "mixup", "shuffle", "label_mixup", "gaussian", "copies"])
def test_synthesis_agrees_with_the_cpu(method, monkeypatch):
    latents_store(Path("id"))
    made = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("LATENT_OUTLIERS_DEVICE", device)
        params = write_params(Path(), tiny_params(synthesize__methods=[method]))
        synthesize(method, params, Inputs(Path("id"), models(method)), Path(device), 1, 1024)
        made[device] = Store(Path(device))
    for name in ("parent_a", "parent_b", "lam", "method"):
        np.testing.assert_array_equal(made["cpu"].column(name), made["cuda"].column(name))
    values = (made[device].latents().astype(np.float32) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(*values, rtol=2e-3, atol=2e-3)


def test_a_classifier_trains_repeatably():
    repeatable(UNIT_THREADS)

    def trained():
        torch.manual_seed(0)
        network = LatentResNet(4, 3, NetworkParams(width=8, blocks=(1, 1)), LinearParams(kind="linear")).to(GPU)
        latents, labels = torch.randn(60, 4, 4, 4).to(GPU), torch.arange(60).to(GPU) % 3
        params = OptimiserParams(epochs=2, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=0.0)

        def losses(batch):
            return {"ce": cross_entropy(network(latents[batch.to(GPU)]).logits, labels[batch.to(GPU)])}

        fit(network, 60, losses, params, torch.Generator().manual_seed(0))
        return network.state_dict()

    first, again = trained(), trained()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_an_autoencoder_trains_repeatably():
    repeatable(UNIT_THREADS)
    content = tiny_params()
    images = open_image_set("id_validation", section(DataParams, content["data"]))
    params = section(TrainingParams, content["autoencoder"]["training"])
    first, again = (train_autoencoder(images, 32, params, GPU, lambda _: None).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
