"""The autoencoder stage trains a small model or takes any diffusers one, through the same code."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.networks.autoencoder import Autoencoder, load_stage_output
from pipeline.params.autoencoder import TrainingParams
from pipeline.params.data import DataParams
from pipeline.runtime.errors import ModelError
from pipeline.training.autoencoder import train_autoencoder
from pipeline.training.loop import ignore_history
from stages.autoencoder import autoencoder
from tests.helpers.make import changed, pixel_batch, section, tiny_params, write_params

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def random_kl(scaling_factor=0.18):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[8] * 4, layers_per_block=1, norm_num_groups=4, scaling_factor=scaling_factor,
    ).eval()  # fmt: skip


def random_tiny():
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
        num_encoder_blocks=(1,) * 4, num_decoder_blocks=(1,) * 4,
    ).eval()  # fmt: skip


def pretrained(tmp_path, subfolder=None):
    source = {"source": str(tmp_path / "given"), "subfolder": subfolder, "revision": None}
    return write_params(tmp_path, tiny_params(autoencoder__pretrained=source))


@pytest.mark.parametrize("make", [random_kl, random_tiny])
def test_a_pretrained_model_comes_out_unchanged(tmp_path, make):
    given = make()
    given.save_pretrained(tmp_path / "given" / "vae")
    autoencoder(tmp_path / "out", tmp_path / "curve.csv", pretrained(tmp_path, "vae"))
    found, _ = load_stage_output(tmp_path / "out")
    assert type(found.module) is type(given)
    for name, weights in given.state_dict().items():
        assert torch.equal(weights, found.module.state_dict()[name]), name
    assert (tmp_path / "curve.csv").read_text() == "epoch,learning_rate,loss\n"


def test_latents_are_the_scaled_posterior_mean():
    model, images = random_kl(scaling_factor=0.5), torch.rand(2, 3, 32, 32) * 2 - 1
    wanted = 0.5 * model.encode(images).latent_dist.mean
    found = Autoencoder(model, "test").encode(images)
    assert found.shape == (2, 4, 4, 4)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_decoding_undoes_the_scaling_and_stays_in_range():
    model, latents = random_kl(scaling_factor=0.5), torch.randn(2, 4, 4, 4)
    wanted = model.decode(latents / 0.5).sample.clamp(-1, 1)
    torch.testing.assert_close(Autoencoder(model, "test").decode(latents), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("broken", ["nowhere", "empty", "no weights", "pickled weights"])
def test_what_is_no_autoencoder_is_refused_by_name(tmp_path, broken):
    folder = tmp_path / "given"
    if broken != "nowhere":
        folder.mkdir()
    if broken.endswith("weights"):
        random_kl().save_pretrained(folder)
        weights = folder / "diffusion_pytorch_model.safetensors"
        weights.unlink()
    if broken == "pickled weights":
        torch.save(random_kl().state_dict(), folder / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match="given: no diffusers autoencoder could be loaded"):
        autoencoder(tmp_path / "out", tmp_path / "curve.csv", pretrained(tmp_path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("fault", "message"), [("missing", "its weights lack 1 tensors"), ("shape", "no diffusers")])
def test_incomplete_weights_are_refused(tmp_path, fault, message):
    random_kl().save_pretrained(tmp_path / "given")
    file = tmp_path / "given" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    whole = weights.pop("encoder.conv_in.weight")
    save_file(weights | ({"encoder.conv_in.weight": whole[:1]} if fault == "shape" else {}), file)
    with pytest.raises(ModelError, match=message):
        autoencoder(tmp_path / "out", tmp_path / "curve.csv", pretrained(tmp_path))
    assert not (tmp_path / "out").exists()


def test_the_digest_does_not_depend_on_where_a_model_was(tmp_path):
    given = random_kl()
    digests = set()
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        given.save_pretrained(tmp_path / place / "given")
        autoencoder(tmp_path / place / "out", tmp_path / place / "curve.csv", pretrained(tmp_path / place))
        digests.add(load_stage_output(tmp_path / place / "out")[1])
    assert len(digests) == 1


def test_another_model_is_refused(tmp_path):
    from diffusers import UNet2DModel

    UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    ).save_pretrained(tmp_path / "given")  # fmt: skip
    with pytest.raises(ModelError, match="found a UNet2DModel, wanted a diffusers autoencoder"):
        autoencoder(tmp_path / "out", tmp_path / "curve.csv", pretrained(tmp_path))


def test_a_folder_that_no_stage_made_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"found no config.json"):
        load_stage_output(tmp_path)


def trained(on_epoch=ignore_history, **changes):
    images = section(DataParams, tiny_params()["data"]).open("id_validation")
    training = section(TrainingParams, tiny_params()["autoencoder"]["training"] | changes)
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
    latents = Autoencoder(model, "test").encode(batch)
    assert float(latents.double().std(unbiased=False)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_training_learns_to_rebuild_images():
    told = []
    images, model = trained(told.append, epochs=12)
    assert [*told[-1][0]] == ["learning_rate", "reconstruction", "kl"]
    assert len(told) == len(told[-1]) == 12
    assert told[-1][-1]["reconstruction"] < 0.5 * told[-1][0]["reconstruction"]
    batch = torch.from_numpy(pixel_batch(images, range(60), 32))
    learnt = Autoencoder(model, "test")
    error = (learnt.decode(learnt.encode(batch)) - batch).square().mean()
    assert error < 0.5 * batch.var(), np.asarray(error / batch.var())


def test_parameters_of_a_pretrained_model_are_closed(tmp_path):
    from pipeline.runtime.errors import ParamsError

    content = changed(tiny_params(), autoencoder__pretrained={"source": "x", "subfolder": None, "revison": None})
    with pytest.raises(
        ParamsError, match=r"autoencoder.pretrained.revison is not a parameter; did you mean 'revision'"
    ):
        autoencoder(tmp_path / "out", tmp_path / "curve.csv", write_params(tmp_path, content))
