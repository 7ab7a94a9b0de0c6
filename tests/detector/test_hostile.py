"""A bundle of a stranger, every digest right, runs no code, asks no network and is refused in one line.

`make test-oldest` runs this file with the oldest versions that pyproject.toml admits.
"""

import json
import os
import socket
import time
from pathlib import Path

import pytest
import torch

from pipeline.detector.bundle import bundle_files
from pipeline.detector.detector import Detector
from pipeline.runtime.errors import BundleError, OutOfMemoryError
from tests.detector.make import forged, pictures, tiny_bundle

CODE = """
from pathlib import Path

Path("ran").touch()


class Component:
    @classmethod
    def from_pretrained(cls, *_, **__):
        return cls()
"""


def refused(folder, message):
    with pytest.raises((BundleError, OutOfMemoryError), match=message) as raised:
        Detector.load(folder)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


def bundle_with_config(**changes):
    """Return a bundle whose autoencoder has other entries in its config.json."""
    folder = tiny_bundle(Path("bundle"))
    file = folder / "encoder/model/config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


@pytest.mark.parametrize("kind", ["DiffusionPipeline", "StableDiffusionPipeline", ["component", "Component"]])
def test_a_bundle_does_not_choose_a_class_that_runs_code_in_its_folder(kind):
    folder = bundle_with_config(_class_name=kind)
    index = {"_class_name": "DDPMPipeline", "unet": ["component", "Component"], "scheduler": ["component", "Component"]}
    (folder / "encoder/model/model_index.json").write_text(json.dumps(index))
    for place in ("component.py", "component/component.py", "unet/component.py", "scheduler/component.py"):
        (folder / "encoder/model" / place).parent.mkdir(exist_ok=True)
        (folder / "encoder/model" / place).write_text(CODE)
    refused(forged(folder), "wanted one of AsymmetricAutoencoderKL")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "kind",
    ["AutoModel", "UNet2DModel", "ConsistencyDecoderVAE", "VQModel", "models", "__dict__", None, 7, {}, ""],
)
def test_no_other_name_in_diffusers_is_looked_up(kind):
    refused(forged(bundle_with_config(_class_name=kind)), "wanted one of AsymmetricAutoencoderKL")


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
    """Its folder is named like a repository."""
    folder = tiny_bundle(Path("stranger"))
    for file in (folder / "encoder/model").iterdir():
        file.unlink()
    for empty in (False, True):
        if empty:
            (folder / "encoder/model").rmdir()
        refused(forged(folder), "encoder")
    assert asked == []


@pytest.mark.parametrize("gone", ["config.json", "diffusion_pytorch_model.safetensors"])
def test_an_autoencoder_that_lacks_a_file_asks_no_hub_for_it(asked, gone):
    folder = tiny_bundle(Path("stranger"))
    (folder / "encoder/model" / gone).unlink()
    refused(forged(folder), "encoder")
    assert asked == []


def test_pickled_weights_are_not_read(asked):
    folder = tiny_bundle(Path("stranger"))
    (folder / "encoder/model/diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, folder / "encoder/model/diffusion_pytorch_model.bin")
    refused(forged(folder), "encoder")
    assert asked == []


def set_value(path, value):
    """Return a change of a card that sets one value, by its path of keys and indices."""

    def change(card):
        *steps, last = path.split(".")
        for step in steps:
            card = card[int(step)] if isinstance(card, list) else card[step]
        card[int(last) if isinstance(card, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("network.network.width", 2**62),
        ("network.network.width", 8192),
        ("network.network.blocks", [1_000_000]),
        ("network.network.blocks", [1] * 1_000),
        ("network.network.blocks", [2]),
        ("network.head", {"kind": "adacos"}),
        ("network.head", {"kind": "cosface", "scale": float("1e308"), "margin": 0}),
        ("network.space.image_size", 0),
        ("network.space.image_size", -8),
        ("network.space.image_size", 1_000_000),
        ("network.space.image_size", 16_384),
        ("network.space.image_size", 40),
        ("network.space.shape", [4, 0, 4]),
        ("network.space.shape", [2**62, 4, 4]),
        ("network.space.shape", [4, 4, 2**40]),
        ("network.space.shape", [3, 4, 4]),
        ("network.space.scaling_factor", 0),
        ("network.space.scaling_factor", 2.0),
        ("network.standardisation.mean", [0.0] * 3),
        ("network.standardisation.std", [1.0] * 5),
        ("network.standardisation.std", [-1.0] * 4),
        ("network.standardisation.std", []),
        ("network.class_names", []),
        ("network.class_names", ["a", "b"]),
        ("network.class_names", ["a", "b", "c" * 10_000]),
        ("infer.knn_neighbours", 10**9),
        ("infer.knn_neighbours", 10**400),
        ("decision.id_rejection_target", -1.0),
        ("decision.validation_images", 0),
        ("decision.threshold", 10**400),
        ("files", {f"encoder/model/{number}": "0" for number in range(2_000)}),
        ("tensors.scorer.safetensors", {"bank": {"dtype": "float64", "shape": [2**39, 8]}}),
        ("tensors.scorer.safetensors", {"bank": {"dtype": "object", "shape": [90, 8]}}),
    ],
)
def test_a_card_that_cannot_be_is_refused_before_anything_is_allocated(path, value):
    name = "scorer.safetensors"
    change = (
        (lambda card: card["tensors"].update({name: value})) if path.startswith("tensors") else set_value(path, value)
    )
    refused(forged(tiny_bundle(Path("bundle")), change), "bundle")


@pytest.mark.parametrize(
    "changes",
    [
        {"layers_per_block": 10**9},
        {"layers_per_block": 300},
        {"block_out_channels": [2**62] * 4},
        {"block_out_channels": [2**16] * 4},
        {"block_out_channels": [8] * 1_000},
        {"block_out_channels": 5},
        {"block_out_channels": [8, 8]},
        {"latent_channels": -4},
        {"latent_channels": 8},
        {"norm_num_groups": 0},
        {"act_fn": "__import__"},
        {"scaling_factor": float("nan")},
        {"scaling_factor": 0.5},
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        {"sample_size": {}},
    ],
)
def test_a_config_that_describes_no_autoencoder_is_refused(changes):
    refused(forged(bundle_with_config(**changes)), "bundle")


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["network", "scorer", "encoder/model/diffusion_pytorch_model"])
def test_values_that_are_not_finite_are_refused(name, broken):
    def break_one(tensors):
        next(iter(tensors.values())).flatten()[0] = broken

    refused(forged(tiny_bundle(Path("bundle")), **{name: break_one}), "1 of [0-9,]+ values of .* are not finite")


@pytest.mark.parametrize(
    ("name", "tensor"),
    [("bank", torch.zeros(0, 8)), ("bank", torch.zeros(90)), ("bank", torch.zeros(90, 7)), ("bank", torch.zeros(2, 8))],
)
def test_a_scorer_that_scores_nothing_is_refused(name, tensor):
    change = lambda tensors: tensors.update({name: tensor.double()})  # noqa: E731
    refused(forged(tiny_bundle(Path("bundle")), scorer=change), "bundle")


@pytest.mark.parametrize("kind", [torch.float16, torch.bool, torch.int8, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["network", "scorer"])
def test_tensors_of_other_types_are_refused(name, kind):
    def convert(tensors):
        tensors.update({key: tensor.to(kind) for key, tensor in tensors.items()})

    if (name, kind) != ("scorer", torch.float64):
        folder = tiny_bundle(Path("bundle"))
        refused(forged(folder, describe=False, **{name: convert}), "bundle")


FILES = [
    "bundle.json",
    "network.safetensors",
    "scorer.safetensors",
    "encoder/encoder.json",
    "encoder/model/config.json",
]


@pytest.mark.parametrize("name", [*FILES, "encoder/model/diffusion_pytorch_model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link out", "sparse"])
def test_what_is_no_regular_file_of_the_folder_is_refused_at_once(name, kind):
    folder = tiny_bundle(Path("bundle"))
    file = folder / name
    content = file.read_bytes()
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "link out":
        Path("secret").write_bytes(content)
        file.symlink_to(Path("secret").absolute())
    else:
        with file.open("wb") as stream:
            stream.write(content)
            stream.truncate(2**40)
    began = time.perf_counter()
    refused(folder, "bundle")
    assert time.perf_counter() - began < 2


def test_links_into_the_cache_of_dvc_are_files_of_a_bundle():
    folder = tiny_bundle(Path("bundle"))
    for number, file in enumerate(path for path in folder.rglob("*") if path.is_file()):
        place = Path(f"cache/files/md5/00/{number:030x}").absolute()
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place)
        file.symlink_to(place)
    assert len(Detector.load(folder).predict(pictures(2))) == 2


def test_a_model_card_that_leads_to_a_file_of_the_user_is_not_published():
    folder = tiny_bundle(Path("bundle"))
    Path("secret").write_text("a key")
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("../secret")
    detector = Detector.load(folder)
    detector.save_pretrained("copy")
    assert not Path("copy/README.md").exists()
    assert "README.md" not in bundle_files(detector.bundle)
