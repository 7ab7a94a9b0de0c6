"""The presets of CIFAR are at OpenOOD's protocol, and run as far as they can without the hub: on local files."""

import re
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.commands.compose import preset_text
from pipeline.latents.guard_report import read_guard
from pipeline.params.data import DataParams
from pipeline.schema.text import plain_yaml
from pipeline.store.reader import Store
from stages.encode import encode
from stages.encoder import encoder
from stages.guard import guard
from tests.helpers.make import ROOT, changed, section, write_params
from tests.helpers.models import random_tiny

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
OTHER = {"cifar10": "cifar100", "cifar100": "cifar10"}
FAR = ("mnist", "svhn", "textures", "places365")
SIDES = {"mnist": (28, "L"), "textures": (300, "RGB")}  # of others 32, in colour
LATENTS = Path("latents")


def preset(name, *, whole=False):
    """Return a whole preset, as it is or with the sets that it leaves to the user, their comment signs taken away."""
    text = preset_text(ROOT / f"presets/{name}.yaml")
    return plain_yaml(re.sub(r"^    # (?=\S|  )", "    ", text, flags=re.MULTILINE) if whole else text)


@pytest.mark.parametrize("name", OTHER)
def test_id_near_and_far_images_are_those_of_openood(name):
    params = preset(name, whole=True)
    data = section(DataParams, params["data"])
    near, far = dict.fromkeys((OTHER[name], "tiny_imagenet"), "near"), dict.fromkeys(FAR, "far")
    assert data.ood_sets() == near | far
    known = params["data"]["sources"][name]
    assert (known["dataset"], known["held_out"], set(known["limits"].values())) == (f"uoft-cs/{name}", [], {None})
    assert len(known["class_names"]) == int(name.removeprefix("cifar"))
    others = {one: params["data"]["sources"][one] for one in near | far if one in preset(name)["data"]["sources"]}
    assert {(one["split"], one["images"]) for one in others.values()} == {("test", None)}


@pytest.mark.parametrize("name", OTHER)
def test_the_network_and_its_training_are_those_of_openood_on_latents_of_256_pixels(name):
    params = preset(name)
    assert params["data"]["image_size"] == 256
    assert params["encoder"]["diffusers"]["source"] == "stabilityai/sd-vae-ft-mse"
    assert params["teacher"]["network"] == {"width": 64, "blocks": [2, 2, 2, 2], "latent_mean": False}
    wanted = {"epochs": 100, "batch_size": 128, "momentum": 0.9, "weight_decay": 0.0005}
    for stage in ("teacher", "train"):
        assert wanted.items() <= params[stage]["optimiser"].items()
    assert len(params["seeds"]) >= 3


def pictures(count, name, seed):
    """Return PNG files of noise in the sides and colours of a data set, all of them different."""
    side, mode = SIDES.get(name, (32, "RGB"))
    rng, files = np.random.default_rng(seed), []
    for _ in range(count):
        files.append(BytesIO())
        pixels = rng.integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(files[-1], "PNG")
    return [{"bytes": file.getvalue(), "path": None} for file in files]


def local(params):
    """Write every data set of a preset under data/, and change the preset as its comment says."""
    for seed, (name, source) in enumerate(params["data"]["sources"].items()):
        names, label = source.get("class_names", ["any"]), source.get("label", "label")
        features = datasets.Features({source["image"]: datasets.Image(), label: datasets.ClassLabel(names=names)})
        Path("data", name).mkdir(parents=True)
        for split, each in (("train", 26), ("test", 2)):  # 26: two in a hundred of them are one
            labels = list(range(len(names))) * each
            rows = {source["image"]: pictures(len(labels), name, (seed, each)), label: labels}
            datasets.Dataset.from_dict(rows, features=features).to_parquet(f"data/{name}/{split}.parquet")
        source |= {"dataset": f"data/{name}", "config": None, "revision": None}
    return params


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHER)
def test_a_preset_on_local_files_is_encoded_at_256_pixels_and_passes_the_guard(name, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    torch.manual_seed(0)
    random_tiny().save_pretrained("tiny")
    params, classes = local(preset(name)), int(name.removeprefix("cifar"))
    few = dict.fromkeys(("train", "validation", "test"), classes) | {"held_out": None}
    pretrained = {"source": "tiny", "subfolder": None, "revision": None, "variant": None}
    params = changed(params, **{f"data__sources__{name}__limits": few}, encoder__diffusers=pretrained)
    file = write_params(Path(), params)
    encoder(Path("encoder"), Path("curve.csv"), file)
    for chosen in params["data"]["sets"]:
        encode(chosen, Path("encoder"), LATENTS / chosen, file)
        store = Store(LATENTS / chosen)
        assert (store.header.space.image_size, store.header.space.shape) == (256, (4, 32, 32))
    guard(LATENTS, Path("guard.json"), Path("guarded.json"), file)
    sizes = {chosen: one["images"] for chosen, one in read_guard(Path("guard.json"))["sets"].items()}
    known = dict.fromkeys(("id_train", "id_validation", "id_test"), classes)
    assert sizes == known | {OTHER[name]: 2, "mnist": 2, "svhn": 2, "textures": 2}
