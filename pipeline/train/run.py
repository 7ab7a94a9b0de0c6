"""Run the stage: from ID latents, outlier stores and teachers to one detector per seed in `models/detector/`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.config import load_params
from pipeline.device import UNIT_THREADS, chosen_device, default_workers, repeatable, seeded
from pipeline.latents import Latents, load_id_train
from pipeline.networks.fit import Losses, fit
from pipeline.networks.folder import load_network, save_network
from pipeline.networks.outputs import load_outputs
from pipeline.networks.resnet import LatentResNet, Prediction
from pipeline.train.objective import objective
from pipeline.train.outliers import OutlierBatches, check_outliers, open_outliers
from pipeline.train.params import Params, TrainParams
from pipeline.units import finished_folder, run_units
from pipeline.workspace import note_forgotten, unfinished


@dataclass(frozen=True)
class DetectorUnit:
    """One seed's training, whole in itself: it can run in any process."""

    seed: int
    params: TrainParams
    latents: Path
    outliers: tuple[Path, ...]
    teacher: Path
    output: Path


def train_detectors(
    params_file: Path, latents: Path, outliers: Path, teachers: Path, output: Path, workers: int | None
) -> None:
    """Train the detector of every seed; finished ones of a killed run are kept."""
    params = load_params(params_file, Params)
    stores = tuple(outliers / name for name in params.synthesize.stores)
    note_forgotten(outliers, params.synthesize.stores)
    check_outliers(stores, load_id_train(latents).header)
    facts = {
        "seeds": params.seeds,
        "outliers": params.synthesize.stores,
        "params": params.train.model_dump(mode="json"),
    }
    with unfinished(output, facts, [latents, *stores, teachers]) as work:
        units = [
            DetectorUnit(seed, params.train, latents, stores, teachers / str(seed), work / str(seed))
            for seed in params.seeds
        ]
        run_units(train_detector, units, workers=workers or default_workers(chosen_device()), what="training detectors")


def train_detector(unit: DetectorUnit) -> None:
    """Train one detector of its teacher's architecture, from scratch."""
    repeatable(UNIT_THREADS)
    latents, device = load_id_train(unit.latents), chosen_device()
    teacher = load_network(unit.teacher, latents.header.space, latents.class_names)
    card = teacher.card.model_copy(update={"role": "detector"})
    with seeded(unit.seed, device):
        network = card.build().to(device)
    order = torch.Generator().manual_seed(unit.seed)
    outliers = OutlierBatches(open_outliers(unit.outliers, latents.header), unit.params.outlier_batch_size, order)
    said = load_outputs(unit.teacher, len(latents.values), len(latents.class_names))
    step = _Step(network, latents, said.logits, outliers, unit.params)
    history = fit(network, len(latents.values), step, unit.params.optimiser, order)
    with finished_folder(unit.output) as folder:
        save_network(folder, network, card, history)


class _Step:
    """The losses of one step: ID rows and outliers go through the network together."""

    def __init__(
        self, network: LatentResNet, latents: Latents, teacher: Tensor, outliers: OutlierBatches, params: TrainParams
    ) -> None:
        self.device = next(network.parameters()).device
        self.network, self.outliers, self.params = network, outliers, params
        self.values = latents.values.to(self.device)
        self.labels = torch.from_numpy(latents.labels).long().to(self.device)
        self.teacher = teacher.to(self.device)

    def __call__(self, batch: Tensor) -> Losses:
        rows, outliers = batch.to(self.device), self.outliers.draw().to(self.device)
        together = self.network(torch.cat([self.values[rows], outliers]))
        sizes = [len(rows), len(outliers)]
        (known_logits, out_logits), (known, out) = together.logits.split(sizes), together.features.split(sizes)
        return objective(
            Prediction(known_logits, known),
            Prediction(out_logits, out),
            self.labels[rows],
            self.teacher[rows],
            self.params,
        )
