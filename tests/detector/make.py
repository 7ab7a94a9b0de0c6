"""A small real project for bundles: random networks, an encoder, and decisions for them."""

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pipeline.detector import bundle as layout
from pipeline.detector.bundle import write_bundle
from pipeline.detector.bundle_card import sealed, tensor_entries
from pipeline.detector.bundle_parts import bundle_parts
from pipeline.latents.latents import load_id_train, load_latents
from pipeline.networks.encoders.encoder import load_encoder
from pipeline.networks.saved_network import NetworkCard, save_network
from pipeline.params.infer import InferParams
from pipeline.params.networks import LinearParams, NetworkParams
from pipeline.posthoc.decision import Decision, write_decisions
from pipeline.runtime.files import file_digest, folder_digest
from pipeline.store.format import LatentSpace, Standardisation
from tests.helpers.make import default_params, latents_store, section
from tests.helpers.models import encoder_of, random_kl

INFER = section(InferParams, default_params()["infer"] | {"knn_neighbours": 4})
NAMES = ("class 0", "class 1", "class 2")


def pictures(count, side=20, seed=0):
    """Return arrays of random images, no two of one colour."""
    rng = np.random.default_rng(seed)
    return [rng.integers(*np.sort(rng.choice(257, 2, replace=False)), (side, side, 3), np.uint8) for _ in range(count)]


def picture_files(folder, count):
    """Write random images as PNG; return their paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{index:03}.png" for index in range(count)]
    for file, picture in zip(files, pictures(count), strict=True):
        Image.fromarray(picture).save(file)
    return files


def tiny_models(folder, score="knn", seeds=(0,), head=None, encoder=None):
    """Write `models/` and the stores of ID latents into a folder, as the stages before `bundle` leave them.

    encoder: an autoencoder if None.
    """
    torch.manual_seed(0)
    (encoder or encoder_of(random_kl())).save(folder / "models/encoder", 32)
    saved = load_encoder(folder / "models/encoder")
    scaling = saved.encoder.scaling_factor
    space = LatentSpace(encoder=saved.digest, scaling_factor=scaling, image_size=32, shape=saved.card.shape)
    channels = space.shape[0]
    standardisation = Standardisation(mean=(0.0,) * channels, std=(1.0,) * channels)
    for seed, name in enumerate(("id_train", "id_validation")):
        latents_store(folder / name, seed=seed, space=space, standardisation=standardisation)
    decisions = []
    for seed in seeds:
        card = NetworkCard(
            role="detector",
            seed=seed,
            network=NetworkParams(width=8, blocks=(1,), latent_mean=False),
            head=head or LinearParams(kind="linear"),
            space=space,
            standardisation=standardisation,
            class_names=NAMES,
        )
        torch.manual_seed(seed)
        detector = folder / f"models/detector/{seed}"
        save_network(detector, card.build(), card, [])
        decisions.append(decision(seed, file_digest(detector / "model.safetensors"), score))
    write_decisions(folder / "models/decision", decisions)


def decision(seed, weights, score, threshold=0.0497):
    """Return a decision; its threshold calls some `pictures` outliers by the k-NN score, and others not."""
    return Decision(
        seed=seed,
        weights=weights,
        score=score,
        threshold=threshold,
        id_rejection_target=0.05,
        id_rejection_validation=0.04,
        validation_images=50,
    )


def tiny_bundle_parts(folder, score="knn", head=None, encoder=None, left_out=None):
    """Return the parts of a bundle; left_out: says of the folder of the encoder which weights are left out."""
    tiny_models(folder, score, head=head, encoder=encoder)
    weights = None if left_out is None else left_out(folder / "models/encoder")
    known = load_id_train(folder / "id_train")
    validation = load_latents(folder / "id_validation", known.header)
    return bundle_parts(folder / "models", 0, known, validation, INFER, weights)


@functools.cache
def _cached_bundle(score):
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home)
    write_bundle(home / "bundle", tiny_bundle_parts(home, score), "a card\n")
    return home / "bundle"


def tiny_bundle(folder, score="knn"):
    """Copy a bundle, made once, to a folder."""
    shutil.copytree(_cached_bundle(score), folder)
    return folder


def forged(folder, change=lambda card: None, *, describe=True, **tensors):
    """Return a whole bundle whose files somebody has changed and whose every digest is right again.

    change: changes the content of bundle.json. describe: whether bundle.json has the new types and shapes. tensors:
    change those of a file, by its name without the ending.
    """
    for name, change_tensors in tensors.items():
        file = folder / f"{name}.safetensors"
        changed = load_file(file)
        change_tensors(changed)
        save_file(changed, file)
    content = json.loads((folder / "bundle.json").read_bytes())
    del content["digest"]
    content["files"] = layout._digests(folder)
    content["network"]["space"]["autoencoder"] = folder_digest(folder / "encoder")
    content["decision"]["weights"] = file_digest(folder / "network.safetensors")
    if describe:
        described = {name: tensor_entries(load_file(folder / name)) for name in content["tensors"]}
        content["tensors"] = {
            name: {key: entry.model_dump(mode="json") for key, entry in entries.items()}
            for name, entries in described.items()
        }
    change(content)
    (folder / "bundle.json").write_bytes(sealed(content))
    return folder
