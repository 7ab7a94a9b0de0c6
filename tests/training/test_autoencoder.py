"""The small autoencoder learns to rebuild images, and repeats to the bit."""

import numpy as np
import pytest
import torch

from pipeline.params.data import DataParams
from pipeline.params.encoder import TrainedParams
from pipeline.training.autoencoder import train_autoencoder
from pipeline.training.loop import ignore_history
from tests.helpers.make import pixel_batch, section, tiny_params
from tests.helpers.models import encoder_of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def trained(on_epoch=ignore_history, **changes):
    images = section(DataParams, tiny_params()["data"]).open("id_validation")
    training = section(TrainedParams, tiny_params()["encoder"]["trained"] | changes)
    return images, train_autoencoder(images, 32, training, torch.device("cpu"), lambda _: None, on_epoch)


def test_training_repeats_to_the_bit_and_follows_its_seed():
    first, again, other = (trained(seed=seed)[1].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_memory_budget_changes_no_weight(monkeypatch):
    wanted = trained()[1].state_dict()
    monkeypatch.setenv("LATENT_OUTLIERS_MEMORY", "0")
    found = trained()[1].state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_scaled_latents_have_unit_variance():
    images, model = trained()
    batch = torch.from_numpy(pixel_batch(images, range(len(images)), 32))
    latents = encoder_of(model).encode(batch)
    assert float(latents.double().std(unbiased=False)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_training_learns_to_rebuild_images():
    told = []
    images, model = trained(told.append, epochs=12)
    assert [*told[-1][0]] == ["learning_rate", "reconstruction", "kl"]
    assert len(told) == len(told[-1]) == 12
    assert told[-1][-1]["reconstruction"] < 0.5 * told[-1][0]["reconstruction"]
    batch = torch.from_numpy(pixel_batch(images, range(60), 32))
    learnt = encoder_of(model)
    error = (learnt.decode(learnt.encode(batch)) - batch).square().mean()
    assert error < 0.5 * batch.var(), np.asarray(error / batch.var())
