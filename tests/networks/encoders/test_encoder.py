"""A saved encoder encodes as it did, and a folder that says otherwise is refused."""

import json
import sys

import pytest
import torch

from pipeline.networks.encoders.encoder import Encoder, latent_shape, load_encoder
from pipeline.networks.encoders.model import EncoderModel, ModelSettings
from pipeline.networks.encoders.onnx_network import OnnxNetwork, OnnxSettings
from pipeline.networks.encoders.reduction import fit_reduction
from pipeline.networks.encoders.vision_backbone import VisionBackbone
from pipeline.runtime.errors import MissingExtraError, ModelError
from tests.helpers.models import encoder_of, random_kl, write_backbone, write_encoder, write_onnx

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def images(size=64):
    torch.manual_seed(1)
    return torch.rand(4, 3, size, size) * 2 - 1


def autoencoder(_):
    return encoder_of(random_kl()).model


def backbone(folder):
    write_backbone(folder, "vit")
    return VisionBackbone.read(folder, None)


def network(folder):
    write_onnx(folder / "m.onnx")
    settings = OnnxSettings(output="map", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return OnnxNetwork.read(folder / "m.onnx", settings)


@pytest.mark.parametrize("make", [autoencoder, backbone, network])
@pytest.mark.parametrize("reduced", [False, True])
def test_it_encodes_as_before_it_was_saved(tmp_path, make, reduced):
    model = make(tmp_path)
    encoder = Encoder(model, fit_reduction([model.encode(images())], 2, 3) if reduced else None)
    encoder.save(tmp_path / "out", 64)
    saved = load_encoder(tmp_path / "out")
    latents = encoder.encode(images())
    assert torch.equal(saved.encoder.encode(images()), latents)
    assert saved.card.shape == tuple(latents.shape[1:])
    assert saved.card.image_size == 64
    assert (saved.card.reduction is not None) == reduced


def test_the_digest_is_of_the_content(tmp_path):
    model = random_kl()
    digests = [write_encoder(tmp_path / name, model).digest for name in ("a", "b")]
    assert digests[0] == digests[1] != write_encoder(tmp_path / "c").digest


def test_reduced_channels_decode_and_averaged_places_do_not(tmp_path):
    model = autoencoder(tmp_path)
    latents = model.encode(images())
    whole = Encoder(model, fit_reduction([latents], latents.shape[1], None))
    assert whole.can_decode
    torch.testing.assert_close(whole.decode(whole.encode(images())), model.decode(latents), atol=1e-3, rtol=1e-3)
    assert not Encoder(model, fit_reduction([latents], None, 4)).can_decode
    assert not Encoder(backbone(tmp_path)).can_decode


def change(**entries):
    def damage(folder):
        card = json.loads((folder / "encoder.json").read_text())
        (folder / "encoder.json").write_text(json.dumps(card | entries))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "encoder.json").unlink(), "no encoder could be read .* `dvc repro encoder`"),
        (change(format="latent-outliers-encoder/9"), "no encoder could be read"),
        (change(shape=[2**62, 1, 1]), r"its latents have the shape \(4, 4, 4\)"),
        (change(shape=[0, 4, 4]), "no encoder could be read"),
        (change(image_size=10**6), "no encoder could be read"),
        (change(image_size=-8), "no encoder could be read"),
        (change(model={"kind": "pickle"}), "no encoder could be read"),
        (change(reduction={"side": 2, "pools": True, "channels": 3, "variance": 0.5}), "no reduction could be read"),
        (change(reduction={"side": 2, "pools": True, "channels": None, "variance": 0.5}), r"the shape \(4, 2, 2\)"),
        (change(more=1), "no encoder could be read"),
    ],
)
def test_a_card_that_is_not_true_is_refused(tmp_path, damage, message):
    write_encoder(tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelError, match=message):
        load_encoder(tmp_path)


class Given(EncoderModel):
    """Returns what it was given."""

    settings = ModelSettings(kind="given")

    def __init__(self, latents):
        self.latents = latents

    def encode(self, images):
        if isinstance(self.latents, Exception):
            raise self.latents
        return self.latents

    def to(self, device):
        return self

    def save(self, folder):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (torch.zeros(1, 4), r"becomes values of shape \(1, 4\), wanted \(1, channels, height, width\)"),
        (torch.zeros(1, 2, 3, 4, 5), "becomes values of shape"),
        (torch.zeros(1, 0, 2, 2), "becomes values of shape"),
        (torch.full((1, 1, 1, 1), torch.nan), "are not finite"),
        (RuntimeError("wrong number of channels"), r"cannot be encoded \(wrong number of channels\)"),
    ],
)
def test_a_model_that_makes_no_maps_is_refused_before_it_is_saved(tmp_path, latents, message):
    with pytest.raises(ModelError, match=f"somewhere: .*{message}"):
        latent_shape(Encoder(Given(latents)), 32, "somewhere")


def test_a_package_that_is_not_installed_is_named_and_no_damage(tmp_path, monkeypatch):
    Encoder(network(tmp_path)).save(tmp_path / "out", 64)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"needs the package onnxruntime.*'\.\[onnx\]'"):
        load_encoder(tmp_path / "out")
