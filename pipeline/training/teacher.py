"""Train a teacher: a classifier of ID latents with cross-entropy alone. It is also the baseline of every report."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipeline.latents.latents import load_id_train, load_latents
from pipeline.latents.view_rows import load_training_rows
from pipeline.networks.outputs import save_outputs
from pipeline.networks.saved_network import NetworkCard, predict, save_network
from pipeline.networks.upper_half import take_over_upper_half
from pipeline.params.networks import LinearParams
from pipeline.params.teacher import TeacherParams
from pipeline.runtime.device import UNIT_THREADS, chosen_device, prepare_torch, seeded
from pipeline.runtime.units import finished_folder
from pipeline.training.curve import Curve
from pipeline.training.gradients import Losses, Step
from pipeline.training.loop import fit, validate_and_show


@dataclass(frozen=True)
class TeacherUnit:
    """The training of one seed's teacher, self-contained so that any process can run it."""

    seed: int
    params: TeacherParams
    encoder: Path
    latents: Path
    views: Path | None
    """Output of stage `views`; None where there are none."""
    validation: Path | None
    """Latents of ID validation, on which the accuracy of each epoch is shown; None shows none."""
    output: Path
    curve: Path


def train_teacher(unit: TeacherUnit) -> None:
    """Train one teacher with cross-entropy on ID latents, and save it with its outputs on them.

    It starts from fresh weights, or from those of the encoder's upper half.
    """
    prepare_torch(UNIT_THREADS)
    latents, device = load_id_train(unit.latents), chosen_device()
    card = NetworkCard(
        role="teacher",
        seed=unit.seed,
        network=unit.params.network,
        head=LinearParams(kind="linear"),
        space=latents.header.space,
        standardisation=latents.header.standardisation,
        class_names=latents.class_names,
    )
    rows, labels = load_training_rows(unit.views, latents, device), torch.from_numpy(latents.labels).long()
    validation = None if unit.validation is None else load_latents(unit.validation, latents.header)
    order = torch.Generator().manual_seed(unit.seed)
    with seeded(unit.seed, device):
        network = card.build()
        if unit.params.start == "encoder":
            take_over_upper_half(network, unit.encoder)
        network.to(device)

    def draw(batch: Tensor) -> tuple[Tensor, Tensor]:
        return rows.take(batch, order), labels[batch].to(device)

    def losses(values: Tensor, labels: Tensor) -> Losses:
        return {"cross_entropy": cross_entropy(network(values).logits, labels)}

    step = Step(draw, losses, recordable=True)
    on_epoch = partial(validate_and_show, network=network, validation=validation, curve=Curve(unit.curve))
    history = fit(network, len(labels), step, unit.params.optimiser, order, on_epoch)
    with finished_folder(unit.output) as folder:
        save_network(folder, network, card, history)
        save_outputs(folder, *predict(network, latents.values))
