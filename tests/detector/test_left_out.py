"""A bundle without the weights of its encoder decides the same, after they were fetched from where bundle.json says."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.detector.bundle import copy_bundle, read_bundle, write_bundle
from pipeline.detector.bundle_card import sealed
from pipeline.detector.detector import Detector
from pipeline.detector.left_out import left_out_weights
from pipeline.networks.encoders.encoder import Encoder
from pipeline.networks.encoders.pretrained import read_pretrained
from pipeline.params.encoder import EncoderParams
from pipeline.runtime.errors import BundleError
from tests.detector.make import picture_files, pictures, tiny_bundle_parts
from tests.helpers.make import default_params, section
from tests.helpers.models import random_kl, random_tiny, write_backbone
from tests.images.hub_server import NAME, the_hub
from tests.images.hugging import COMMIT

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
PUBLISHED = Path("published")
BUNDLE, BESIDE = Path("bundle"), Path("whole")
TOKEN = "hf_of_the_user"  # of nobody


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Serve PUBLISHED as the hub; yield the path and token of each request."""
    PUBLISHED.mkdir()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with the_hub(PUBLISHED, tmp_path / "cache", monkeypatch) as requests:
        yield requests


def publish(model):
    """Publish a model; return the parameters with which a run reads it."""
    torch.manual_seed(0)
    place = {"source": NAME, "revision": COMMIT}
    diffusers = place | {"subfolder": None, "variant": None}
    match model:
        case "kl":
            random_kl().save_pretrained(PUBLISHED)
        case "tiny":
            random_tiny().save_pretrained(PUBLISHED)
        case "shards":
            random_kl().save_pretrained(PUBLISHED, max_shard_size="20KB")
        case "half":
            random_kl().half().save_pretrained(PUBLISHED, variant="fp16")
            diffusers |= {"variant": "fp16"}
        case "shards of halves":
            random_kl().half().save_pretrained(PUBLISHED, max_shard_size="10KB", variant="fp16")
            diffusers |= {"variant": "fp16"}
        case "subfolder":
            random_kl().save_pretrained(PUBLISHED / "vae")
            diffusers |= {"subfolder": "vae"}
        case _:
            write_backbone(PUBLISHED, model)
            layer = 1 if model == "convnext" else None  # its last map has one place
            return {"kind": "transformers", "transformers": place | {"layer": layer}}
    return {"kind": "diffusers", "diffusers": diffusers}


def make_bundles(model):
    """Write a bundle without weights, and one with them; return what the latter says of some images."""
    params = section(EncoderParams, default_params()["encoder"] | publish(model))
    parts = tiny_bundle_parts(
        Path(),
        encoder=Encoder(read_pretrained(params.chosen)),
        left_out=lambda folder: left_out_weights(folder, params),
    )
    write_bundle(BUNDLE, parts, "a card\n")
    write_bundle(BESIDE, type(parts)(**vars(parts) | {"left_out": None}), "a card\n")
    shutil.rmtree("models")
    return Detector.load(BESIDE).predict(pictures(3))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


MODELS = ("kl", "tiny", "shards", "half", "shards of halves", "subfolder", "vit", "siglip", "convnext")


@pytest.mark.parametrize("model", MODELS)
def test_a_copy_elsewhere_decides_the_same_after_one_fetch_without_a_token(model, asked):
    said = make_bundles(model)
    assert not list(BUNDLE.rglob("encoder/model/*.safetensors"))
    shutil.copytree(BUNDLE, "far/away")
    shutil.rmtree("cache")
    asked.clear()
    before = contents(Path("far/away"))
    assert Detector.load("far/away", fetch_encoder=True).predict(pictures(3)) == said
    assert contents(Path("far/away")) == before
    assert asked
    assert {token for _, token in asked} == {None}
    assert all(f"/{NAME}/resolve/{COMMIT}/" in path and ".safetensors" in path for path, _ in asked)
    asked.clear()
    assert Detector.load("far/away", fetch_encoder=True).predict(pictures(3)) == said
    assert asked == []


def test_nothing_is_asked_of_the_hub_unless_the_caller_says_so(asked):
    make_bundles("kl")
    shutil.rmtree("cache")
    asked.clear()
    message = rf"bundle/encoder: found no weights, which are in {NAME} on the hub, at commit {COMMIT[:12]} \(.* KiB\)"
    with pytest.raises(BundleError, match=f"{message}.* pass fetch_encoder=True to Detector.load, or --fetch-encoder"):
        Detector.load(BUNDLE)
    with pytest.raises(BundleError, match=message):
        Detector.from_pretrained(BUNDLE)
    assert asked == []


def test_a_copy_of_it_is_as_small_and_the_same_bundle(asked):
    said = make_bundles("kl")
    copy_bundle(read_bundle(BUNDLE), Path("copy"))
    assert contents(Path("copy")) == contents(BUNDLE)
    assert Detector.from_pretrained("copy", fetch_encoder=True).predict(pictures(3)) == said


def test_a_bundle_with_all_weights_has_no_word_of_it(asked):
    make_bundles("kl")
    assert "left_out" not in json.loads((BESIDE / "bundle.json").read_bytes())


def weights_on_the_hub():
    return PUBLISHED / "diffusion_pytorch_model.safetensors"


def shorten():
    weights_on_the_hub().write_bytes(weights_on_the_hub().read_bytes()[:-1])


def flip_a_bit():
    content = bytearray(weights_on_the_hub().read_bytes())
    content[-1] ^= 1
    weights_on_the_hub().write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            shorten,
            r"not fetched \(it has \d+ bytes there, wanted \d+\), wanted a file of the encoder. Run once",
        ),
        (
            flip_a_bit,
            r"with SHA-256 \w{12}, wanted \w{12}, as bundle.json says. If your copy is damaged, delete ",
        ),
        (
            lambda: weights_on_the_hub().unlink(),
            r"not fetched \(.*\), wanted a file of the encoder. .* run `hf download ",
        ),
    ],
)
def test_other_bytes_on_the_hub_are_refused(damage, message, asked):
    make_bundles("kl")
    shutil.rmtree("cache")
    damage()
    with pytest.raises(BundleError, match=f"bundle: found {NAME}/diffusion_\\S+ at {COMMIT[:12]} {message}") as raised:
        Detector.load(BUNDLE, fetch_encoder=True)
    assert "\n" not in str(raised.value)


def test_a_damaged_cache_is_named(asked):
    make_bundles("kl")
    (blob,) = (path for path in Path("cache").rglob("*.safetensors"))
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.resolve().write_bytes(content)
    with pytest.raises(BundleError, match=r"with SHA-256 .* delete \S+\.safetensors and run again"):
        Detector.load(BUNDLE, fetch_encoder=True)
    blob.resolve().write_bytes(b"")
    with pytest.raises(BundleError, match=r"with 0 bytes, wanted [\d,]+, as bundle.json says"):
        Detector.load(BUNDLE, fetch_encoder=True)


def test_without_a_network_it_is_one_line(asked, monkeypatch):
    make_bundles("kl")
    shutil.rmtree("cache")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    message = r"not fetched \(.*\), .* Run once with a network. .* make the bundle with bundle.copy_encoder: true"
    with pytest.raises(BundleError, match=message) as raised:
        Detector.load(BUNDLE, fetch_encoder=True)
    assert "\n" not in str(raised.value)


def rewritten(**entries):
    """Change what bundle.json says of the weights, and seal it again, as a program that means harm would."""
    content = json.loads((BUNDLE / "bundle.json").read_bytes())
    del content["digest"]
    content["left_out"] |= entries
    (BUNDLE / "bundle.json").write_bytes(sealed(content))


def seals(*names, size=10):
    return {name: {"bytes": size, "sha256": "0" * 64} for name in names}


@pytest.mark.parametrize(
    "entries",
    [
        {"repository": "https://example.org/model"},
        {"repository": "../secret"},
        {"repository": "team/animals\n"},
        {"repository": "team"},
        {"repository": "datasets/team/animals"},
        {"commit": "main"},
        {"commit": COMMIT.upper()},
        {"subfolder": "../.."},
        {"subfolder": "/etc"},
        {"variant": "../a"},
        {"file": "encoder/encoder.json"},
        {"file": "encoder/model/config.json"},
        {"hub_files": {}},
        {"hub_files": seals("model.bin")},
        {"hub_files": seals("../model.safetensors")},
        {"hub_files": seals("config.json")},
        {"hub_files": seals("model.safetensors", size=-1)},
        {"hub_files": seals(*(f"{number}.safetensors" for number in range(1001)))},
        {"endpoint": "https://example.org"},
    ],
)
def test_no_other_place_or_file_can_be_named(entries, asked):
    make_bundles("kl")
    asked.clear()
    rewritten(**entries)
    with pytest.raises(BundleError, match=r"bundle.json: found left_out\."):
        Detector.load(BUNDLE, fetch_encoder=True)
    assert asked == []


def test_another_commit_has_other_files(asked):
    make_bundles("kl")
    rewritten(commit=COMMIT[::-1])
    with pytest.raises(BundleError, match=rf"at {COMMIT[:27:-1]} not fetched"):
        Detector.load(BUNDLE, fetch_encoder=True)


def test_weights_of_another_digest_than_the_network_wants_are_refused(asked):
    make_bundles("kl")
    rewritten(sha256="0" * 64)
    with pytest.raises(BundleError, match="bundle/encoder: found digest"):
        Detector.load(BUNDLE, fetch_encoder=True)


def test_files_that_are_larger_than_memory_are_not_fetched(asked):
    make_bundles("kl")
    asked.clear()
    rewritten(hub_files=seals("model.safetensors", size=2**60))
    with pytest.raises(BundleError, match=r"needs 1\.0 EiB|needs 1,024\.0 PiB"):
        Detector.load(BUNDLE, fetch_encoder=True)
    assert asked == []


def test_an_index_cannot_name_a_file_that_bundle_json_does_not(asked):
    make_bundles("shards")
    left_out = json.loads((BUNDLE / "bundle.json").read_bytes())["left_out"]
    index = next(name for name in left_out["hub_files"] if name.endswith(".json"))
    rewritten(hub_files={index: left_out["hub_files"][index]})
    with pytest.raises(BundleError, match="its index names 'diffusion_pytorch_model-00001-.*', which bundle.json"):
        Detector.load(BUNDLE, fetch_encoder=True)


def test_what_the_hub_has_must_make_the_encoder_of_the_run(asked):
    params = section(EncoderParams, default_params()["encoder"] | publish("kl"))
    tiny = tiny_bundle_parts(Path(), encoder=Encoder(read_pretrained(params.chosen)))
    shutil.rmtree("cache")
    torch.manual_seed(1)
    random_kl().save_pretrained(PUBLISHED)
    message = f"models/encoder: found another encoder than {NAME} at {COMMIT[:12]} gives now, .*copy_encoder to true"
    with pytest.raises(BundleError, match=message):
        left_out_weights(tiny.encoder, params)


def test_a_folder_here_is_not_on_the_hub(asked):
    entries = publish("kl")
    shutil.copytree(PUBLISHED, NAME)
    params = section(EncoderParams, default_params()["encoder"] | entries)
    tiny = tiny_bundle_parts(Path(), encoder=Encoder(read_pretrained(params.chosen)))
    with pytest.raises(BundleError, match=f"source '{NAME}', which is a folder here, wanted an id on the hub"):
        left_out_weights(tiny.encoder, params)


def test_the_command_line_fetches_only_with_its_option(asked, tmp_path):
    make_bundles("kl")
    (file,) = picture_files(tmp_path / "files", 1)
    command = ["predict", str(BUNDLE), str(file), "--out", "answers.csv"]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, BundleError)
    assert CliRunner().invoke(app, [*command, "--fetch-encoder"]).exit_code == 0
    assert str(file) in Path("answers.csv").read_text()
