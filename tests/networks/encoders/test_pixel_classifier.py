"""The lower half of a classifier of pixels is an encoder, and its weights say nothing else."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.networks.encoders.encoder import Encoder, load_encoder
from pipeline.networks.encoders.pixel_classifier import PixelTrunk, SupervisedEncoder, SupervisedSettings
from pipeline.runtime.errors import ModelError

SETTINGS = SupervisedSettings(widths=(8, 16, 24))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return SupervisedEncoder(PixelTrunk(SETTINGS.widths), SETTINGS)


@pytest.mark.parametrize(("size", "side"), [(32, 4), (64, 8), (40, 5)])
def test_a_latent_has_an_eighth_of_the_side_and_the_third_width(encoder, size, side):
    assert encoder.encode(torch.zeros(2, 3, size, size)).shape == (2, 24, side, side)


def test_channels_of_latents_are_normalised_and_of_either_sign():
    torch.manual_seed(0)
    latents = PixelTrunk(SETTINGS.widths).train()(torch.rand(16, 3, 32, 32))
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(24), atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(24), atol=1e-2, rtol=0)


def test_an_image_does_not_depend_on_its_batch(encoder):
    images = torch.rand(5, 3, 32, 32)
    torch.testing.assert_close(encoder.encode(images)[2:3], encoder.encode(images[2:3]), atol=1e-5, rtol=1e-5)


def test_it_is_saved_whole(encoder, tmp_path):
    Encoder(encoder).save(tmp_path, 32)
    again = load_encoder(tmp_path).encoder
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(again.encode(images), encoder.encode(images))
    assert not again.can_decode


def test_weights_of_another_architecture_are_refused(encoder, tmp_path):
    Encoder(encoder).save(tmp_path, 32)
    file = tmp_path / "model/model.safetensors"
    weights = load_file(file)
    weights.pop("last.1.running_mean")
    save_file(weights, file)
    with pytest.raises(ModelError, match="no classifier of pixels could be read"):
        load_encoder(tmp_path)
