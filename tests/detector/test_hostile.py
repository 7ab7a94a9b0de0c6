"""A bundle of a stranger, every digest right, runs no code, asks no network and is refused in one line.

`make test-oldest` runs this file and its like with the oldest versions that pyproject.toml admits.
"""

import json
import socket
from pathlib import Path

import pytest
import torch

from pipeline.detector.detector import Detector
from pipeline.networks.encoder_config import ENCODERS
from pipeline.runtime.errors import BundleError
from tests.detector.make import forged, tiny_bundle

CODE = """
from pathlib import Path

Path("ran").touch()


class Component:
    @classmethod
    def from_pretrained(cls, *_, **__):
        return cls()
"""


def refused(folder, message):
    with pytest.raises(BundleError, match=message) as raised:
        Detector.load(folder)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


def bundle_with_config(**changes):
    """Return a bundle whose autoencoder has other entries in its config.json."""
    folder = tiny_bundle(Path("bundle"))
    file = folder / "autoencoder/config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


@pytest.mark.parametrize("kind", ["DiffusionPipeline", "StableDiffusionPipeline", ["component", "Component"]])
def test_a_bundle_does_not_choose_a_class_that_runs_code_in_its_folder(kind):
    folder = bundle_with_config(_class_name=kind)
    index = {"_class_name": "DDPMPipeline", "unet": ["component", "Component"], "scheduler": ["component", "Component"]}
    (folder / "autoencoder/model_index.json").write_text(json.dumps(index))
    for place in ("component.py", "component/component.py", "unet/component.py", "scheduler/component.py"):
        (folder / "autoencoder" / place).parent.mkdir(exist_ok=True)
        (folder / "autoencoder" / place).write_text(CODE)
    refused(forged(folder), "wanted a diffusers autoencoder")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "kind",
    ["AutoModel", "UNet2DModel", "ConsistencyDecoderVAE", "AutoencoderDC", "models", "__dict__", None, 7, {}, ""],
)
def test_no_other_name_in_diffusers_is_looked_up(kind):
    refused(forged(bundle_with_config(_class_name=kind)), f"wanted a diffusers autoencoder of class {ENCODERS[0]}")


@pytest.fixture
def asked(monkeypatch):
    """Return the addresses that were asked for meanwhile, as a user with a token and a network would ask."""
    import huggingface_hub

    addresses = []

    def note(host, *_, **__):
        addresses.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(socket, "getaddrinfo", note)
    return addresses


def test_a_bundle_without_an_autoencoder_asks_no_hub_for_one(asked):
    """Its folder is named like a repository, "stranger/autoencoder"."""
    folder = tiny_bundle(Path("stranger"))
    for file in (folder / "autoencoder").iterdir():
        file.unlink()
    for empty in (False, True):
        if empty:
            (folder / "autoencoder").rmdir()
        refused(forged(folder), "autoencoder")
    assert asked == []


@pytest.mark.parametrize("gone", ["config.json", "diffusion_pytorch_model.safetensors"])
def test_an_autoencoder_that_lacks_a_file_asks_no_hub_for_it(asked, gone):
    folder = tiny_bundle(Path("stranger"))
    (folder / "autoencoder" / gone).unlink()
    refused(forged(folder), "autoencoder")
    assert asked == []


def test_pickled_weights_are_not_read(asked):
    folder = tiny_bundle(Path("stranger"))
    (folder / "autoencoder/diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, folder / "autoencoder/diffusion_pytorch_model.bin")
    refused(forged(folder), "autoencoder")
    assert asked == []
