"""Train the network of a peer as `pipeline/training/teacher.py` trains a teacher: only the losses of a step differ."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.leaderboard.peers.clipping import clipped
from benchmarks.leaderboard.peers.masked_mix import MaskedMix
from benchmarks.leaderboard.peers.mixup import Mixup
from benchmarks.leaderboard.peers.npos import Npos, NposOnCrossEntropy
from benchmarks.leaderboard.peers.outlier_exposure import OutlierExposure
from benchmarks.leaderboard.peers.setting import Peer, Setting
from benchmarks.leaderboard.peers.unit import PeerUnit
from benchmarks.leaderboard.peers.vos import Vos
from pipeline.latents.latents import Latents, load_id_train, load_latents
from pipeline.networks.saved_network import NetworkCard, save_network
from pipeline.params.networks import LinearParams
from pipeline.runtime.device import UNIT_THREADS, chosen_device, prepare_torch, seeded
from pipeline.runtime.units import finished_folder
from pipeline.training.curve import Curve
from pipeline.training.gradients import Losses, Step
from pipeline.training.loop import fit

PEERS: dict[str, Callable[[Setting], Peer]] = {
    "mixup": Mixup,
    "masked_mix": MaskedMix,
    "vos": Vos,
    "npos": Npos,
    "npos_cross_entropy": NposOnCrossEntropy,
    "outlier_exposure": OutlierExposure,
}
"""Every peer by its name."""
SEEING_OUTLIERS = frozenset({"outlier_exposure"})
"""The peers that are shown real outliers."""
OWN_DRAWS = 1
"""Beside the seed of a training: names the random numbers that are its peer's alone."""


def train_peer(unit: PeerUnit) -> None:
    """Train one network with a linear head by the method of its peer, and save it as a detector."""
    prepare_torch(UNIT_THREADS)
    latents, device = load_id_train(unit.latents), chosen_device()
    card = NetworkCard(
        role="detector",
        seed=unit.seed,
        network=unit.network,
        head=LinearParams(kind="linear"),
        space=latents.header.space,
        standardisation=latents.header.standardisation,
        class_names=latents.class_names,
    )
    values, labels = latents.values.to(device), torch.from_numpy(latents.labels).long().to(device)
    with seeded(unit.seed, device):
        network = card.build().to(device)  # first, so that it begins as the teacher of this seed did
        peer = PEERS[unit.peer](_setting(unit, latents, network.features)).to(device)

    def draw(batch: Tensor) -> tuple[Tensor, Tensor]:
        rows = batch.to(device)
        return values[rows], labels[rows]

    def losses(values: Tensor, labels: Tensor) -> Losses:
        found: Losses = peer(network, values, labels)
        return found

    order = torch.Generator().manual_seed(unit.seed)
    learning = nn.ModuleList([network, peer])
    with clipped(peer.clip):
        history = fit(learning, len(values), Step(draw, losses), unit.optimiser, order, Curve(unit.curve).show)
    with finished_folder(unit.output) as folder:
        save_network(folder, network, card, history)


def _setting(unit: PeerUnit, latents: Latents, features: int) -> Setting:
    shown = unit.exposure if unit.peer in SEEING_OUTLIERS else None
    return Setting(
        class_sizes=tuple(np.bincount(latents.labels, minlength=len(latents.class_names)).tolist()),
        features=features,
        steps=unit.optimiser.epochs * math.ceil(len(latents.values) / unit.optimiser.batch_size),
        rng=np.random.default_rng([unit.seed, OWN_DRAWS]),
        exposure=load_latents(shown, latents.header).values if shown else None,
    )
