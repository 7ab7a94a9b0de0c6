"""Run the stage: from the ID training latents to one teacher per seed in `models/teacher/`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipeline.config import load_params
from pipeline.curve import Curve
from pipeline.device import UNIT_THREADS, chosen_device, prepare_torch, seeded
from pipeline.latents import load_id_train
from pipeline.launch import Launch
from pipeline.networks.fit import fit
from pipeline.networks.folder import NetworkCard, predict, save_network
from pipeline.networks.gradients import Losses, Step
from pipeline.networks.outputs import save_outputs
from pipeline.networks.params import LinearParams
from pipeline.networks.seeds import train_seeds
from pipeline.teacher.params import Params, TeacherParams
from pipeline.units import finished_folder
from pipeline.workspace import unfinished


@dataclass(frozen=True)
class TeacherUnit:
    """One seed's training, whole in itself: it can run in any process."""

    seed: int
    params: TeacherParams
    latents: Path
    output: Path
    curve: Path


def train_teachers(params_file: Path, latents: Path, output: Path, curves: Path, launch: Launch) -> None:
    """Train the teacher of every seed; finished ones of a killed run are kept. `curves`: where epochs are shown."""
    params = load_params(params_file, Params)
    load_id_train(latents)  # a damaged store is an error of the stage, not of its first unit
    with unfinished(output, {"params": params.model_dump(mode="json")}, [latents]) as work:
        units = [
            TeacherUnit(seed, params.teacher, latents, work / str(seed), curves / f"{seed}.csv")
            for seed in params.seeds
        ]
        epochs = params.teacher.optimiser.epochs
        train_seeds(train_teacher, units, curves=curves, epochs=epochs, launch=launch, what="training teachers")


def train_teacher(unit: TeacherUnit) -> None:
    """Train one teacher with cross-entropy on ID latents, and keep its outputs on them."""
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
    values, labels = latents.values.to(device), torch.from_numpy(latents.labels).long().to(device)
    with seeded(unit.seed, device):
        network = card.build().to(device)

    def draw(batch: Tensor) -> tuple[Tensor, Tensor]:
        rows = batch.to(device)
        return values[rows], labels[rows]

    def losses(values: Tensor, labels: Tensor) -> Losses:
        return {"cross_entropy": cross_entropy(network(values).logits, labels)}

    order, step = torch.Generator().manual_seed(unit.seed), Step(draw, losses, recordable=True)
    history = fit(network, len(values), step, unit.params.optimiser, order, Curve(unit.curve).show)
    with finished_folder(unit.output) as folder:
        save_network(folder, network, card, history)
        save_outputs(folder, *predict(network, latents.values))
