"""Latents are those that the diffusion models of a class work on: normalised as diffusers' own pipelines do it."""

import json

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.networks.encoders.diffusers_autoencoder import CLASSES, DiffusersAutoencoder
from pipeline.runtime.errors import ModelError
from tests.helpers.models import KL, random_kl, random_tiny

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
SHIFTED, MEAN, STD = {"scaling_factor": 0.3, "shift_factor": 0.1}, [0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 4.0]
BLOCKS = {"encoder_block_types": ("ResBlock", "EfficientViTBlock"), "decoder_block_types": ("ResBlock",) * 2}


def flux2():
    torch.manual_seed(0)
    model = diffusers.AutoencoderKLFlux2(**KL, latent_channels=4)
    model.bn.running_mean.uniform_(-1, 1)
    model.bn.running_var.uniform_(0.5, 2)
    return model


def dc():
    blocks = {"block_out_channels": (8, 16), "layers_per_block": (1, 1), "qkv_multiscales": ((), (5,))}
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in blocks.items()}
    return diffusers.AutoencoderDC(latent_channels=4, attention_head_dim=2, scaling_factor=0.4, **BLOCKS, **sides)


def rae():
    tower = {"encoder_hidden_size": 64, "encoder_num_hidden_layers": 1, "encoder_patch_size": 14}
    head = {"decoder_hidden_size": 32, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    sizes = {"decoder_intermediate_size": 32, "patch_size": 16, "encoder_input_size": 56, "scaling_factor": 0.7}
    mean, std = torch.full((64, 1, 1), 0.1), torch.full((64, 1, 1), 2.0)
    return diffusers.AutoencoderRAE(**tower, **head, **sizes, latents_mean=mean, latents_std=std)


def two_by_two(code):
    """Move 2 x 2 places into channels, by a loop."""
    n, c, h, w = code.shape
    moved = torch.empty(n, 4 * c, h // 2, w // 2)
    for channel in range(c):
        for dy in range(2):
            for dx in range(2):
                moved[:, 4 * channel + 2 * dy + dx] = code[:, channel, dy::2, dx::2]
    return moved


def flux2_latents(model, images):
    mean, var = (values.reshape(1, -1, 1, 1) for values in (model.bn.running_mean, model.bn.running_var))
    return (two_by_two(model.encode(images).latent_dist.mean) - mean) / torch.sqrt(var + model.config.batch_norm_eps)


def per_channel(values):
    return torch.tensor(values).reshape(1, -1, 1, 1)


WANTED = {
    "kl": (lambda: random_kl(0.5), lambda m, x: 0.5 * m.encode(x).latent_dist.mean),
    "kl, shifted": (lambda: random_kl(**SHIFTED), lambda m, x: (m.encode(x).latent_dist.mean - 0.1) * 0.3),
    "kl, statistics": (
        lambda: random_kl(0.5, latents_mean=MEAN, latents_std=STD),
        lambda m, x: (m.encode(x).latent_dist.mean - per_channel(MEAN)) * 0.5 / per_channel(STD),
    ),
    "tiny": (random_tiny, lambda m, x: m.encode(x).latents),
    "dc": (dc, lambda m, x: 0.4 * m.encode(x).latent),
    "flux.2": (flux2, flux2_latents),
    "rae": (rae, lambda m, x: m.encode((x + 1) / 2).latent),
}


@pytest.fixture(params=WANTED)
def model(request, tmp_path):
    torch.manual_seed(0)
    make, wanted = WANTED[request.param]
    given = make().eval()
    given.save_pretrained(tmp_path / "given")
    return given, DiffusersAutoencoder.load(tmp_path / "given"), wanted


@torch.no_grad()
def test_latents_are_the_normalised_mean_or_code(model):
    given, found, wanted = model
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    torch.testing.assert_close(found.encode(images), wanted(given, images), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_decoding_undoes_the_normalisation_and_stays_in_range(model):
    given, found, _ = model
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    encoded = given.encode((images + 1) / 2 if type(given).__name__ == "AutoencoderRAE" else images)
    code = next(getattr(encoded, name) for name in ("latent_dist", "latents", "latent") if hasattr(encoded, name))
    wanted = given.decode(code.mean if hasattr(code, "mean") and not isinstance(code, torch.Tensor) else code).sample
    if type(given).__name__ == "AutoencoderRAE":
        wanted = 2 * wanted - 1
    decoded = found.decode(found.encode(images))
    torch.testing.assert_close(decoded, wanted.clamp(-1, 1), atol=1e-4, rtol=1e-4)
    assert decoded.abs().max() <= 1


def test_a_saved_model_is_the_same_and_says_not_where_it_was(model, tmp_path):
    given, found, _ = model
    found.save(tmp_path / "out")
    again = DiffusersAutoencoder.load(tmp_path / "out")
    for name, weights in given.state_dict().items():
        assert torch.equal(weights, again.module.state_dict()[name]), name
    assert not {"_name_or_path", "_diffusers_version"} & json.loads((tmp_path / "out/config.json").read_text()).keys()


def test_every_class_is_one_of_diffusers():
    assert all(hasattr(diffusers, name) for name in CLASSES)


@pytest.mark.parametrize("name", ["UNet2DModel", "DiffusionPipeline", "ConsistencyDecoderVAE", "os", None, ["x"]])
def test_no_other_class_is_loaded(tmp_path, name):
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": name}))
    with pytest.raises(ModelError, match=r"config.json: no autoencoder .*found the class .*, wanted one of Asymm"):
        DiffusersAutoencoder.load(tmp_path)


@pytest.mark.parametrize("broken", ["nothing", "no weights", "pickled weights", "no object"])
def test_what_is_no_autoencoder_is_refused(tmp_path, broken):
    if broken != "nothing":
        random_kl().save_pretrained(tmp_path)
        (tmp_path / "diffusion_pytorch_model.safetensors").unlink()
    if broken == "pickled weights":
        torch.save(random_kl().state_dict(), tmp_path / "diffusion_pytorch_model.bin")
    if broken == "no object":
        (tmp_path / "config.json").write_text("[]")
    message = "no AutoencoderKL could be read" if "weights" in broken else "no autoencoder of diffusers"
    with pytest.raises(ModelError, match=message):
        DiffusersAutoencoder.load(tmp_path)


@pytest.mark.parametrize(("fault", "message"), [("missing", "weights lack 1 tensors"), ("shape", "no AutoencoderKL")])
def test_incomplete_weights_are_refused(tmp_path, fault, message):
    random_kl().save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    whole = weights.pop("encoder.conv_in.weight")
    save_file(weights | ({"encoder.conv_in.weight": whole[:1]} if fault == "shape" else {}), file)
    with pytest.raises(ModelError, match=message):
        DiffusersAutoencoder.load(tmp_path)


def test_a_variant_of_the_weights_is_read_in_float32(tmp_path):
    given = random_kl()
    given.half().save_pretrained(tmp_path, variant="fp16")
    found = DiffusersAutoencoder.load(tmp_path, "fp16")
    assert {weights.dtype for weights in found.module.state_dict().values()} == {torch.float32}
    with pytest.raises(ModelError, match="no AutoencoderKL could be read"):
        DiffusersAutoencoder.load(tmp_path)
