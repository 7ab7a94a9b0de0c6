"""The upper half of a classifier is written, read into a network of its architecture, and into no other."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.networks.resnet import LatentResNet
from pipeline.networks.upper_half import FILE, save_upper_half, take_over_upper_half
from pipeline.params.networks import LinearParams, NetworkParams
from pipeline.runtime.errors import ModelError


def network(seed, *, width=8, classes=3):
    torch.manual_seed(seed)
    params = NetworkParams(width=width, blocks=(1,), latent_mean=False)
    return LatentResNet(4, classes, params, LinearParams(kind="linear"))


def test_a_network_takes_over_what_was_saved(tmp_path):
    saved, other = network(0), network(1)
    save_upper_half(tmp_path, saved)
    take_over_upper_half(other, tmp_path)
    latents = torch.rand(5, 4, 4, 4)
    assert torch.equal(other(latents).logits, saved(latents).logits)


@pytest.mark.parametrize(("other", "words"), [(network(1, width=16), r"\[16"), (network(1, classes=4), r"\[4\]")])
def test_another_architecture_is_refused(tmp_path, other, words):
    save_upper_half(tmp_path, network(0))
    with pytest.raises(ModelError, match=words):
        take_over_upper_half(other, tmp_path)


def test_an_encoder_without_one_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no upper half.*teacher.start to scratch"):
        take_over_upper_half(network(0), tmp_path)


@pytest.mark.parametrize("damage", [lambda file: file[:-1], lambda _: b"", lambda file: b"\xff" * 9 + file[9:]])
def test_a_damaged_file_is_refused(tmp_path, damage):
    save_upper_half(tmp_path, network(0))
    file = tmp_path / FILE
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ModelError, match="no upper half"):
        take_over_upper_half(network(0), tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    save_upper_half(tmp_path, network(0))
    weights = load_file(tmp_path / FILE)
    weights["head.bias"][0] = torch.nan
    save_file(weights, tmp_path / FILE)
    with pytest.raises(ModelError, match="not finite"):
        take_over_upper_half(network(0), tmp_path)
