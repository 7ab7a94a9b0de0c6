"""A bundle for any encoder: a random network, and a threshold that was fitted to nothing."""

from pathlib import Path

import torch

from pipeline.detector.bundle import write_bundle
from pipeline.detector.bundle_parts import bundle_parts
from pipeline.latents.latents import load_id_train
from pipeline.networks.saved_network import NetworkCard, save_network
from pipeline.params.networks import LinearParams, NetworkParams
from pipeline.posthoc.decision import write_decisions
from pipeline.runtime.files import file_digest
from tests.detector.make import INFER, decision


def write_small_bundle(folder, models, id_train):
    """Write a bundle of the encoder in `models` and a network for the latents of the store `id_train`."""
    latents = load_id_train(id_train)
    card = NetworkCard(
        role="detector",
        seed=0,
        network=NetworkParams(width=8, blocks=(1,), latent_mean=False),
        head=LinearParams(kind="linear"),
        space=latents.header.space,
        standardisation=latents.header.standardisation,
        class_names=latents.class_names,
    )
    torch.manual_seed(0)
    detector = Path(models, "detector/0")
    save_network(detector, card.build(), card, [])
    write_decisions(models / "decision", [decision(0, file_digest(detector / "model.safetensors"), "knn")])
    write_bundle(folder, bundle_parts(models, 0, latents, latents, INFER, None), "a card\n")
