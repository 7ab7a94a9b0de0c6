"""Run the stage: from ID latents, outlier stores and teachers to one detector per seed in `models/detector/`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.config import load_params
from pipeline.curve import Curve
from pipeline.device import UNIT_THREADS, chosen_device, prepare_torch, seeded
from pipeline.latents import Latents, load_id_train
from pipeline.launch import Launch
from pipeline.networks.fit import Losses, fit
from pipeline.networks.folder import load_network, save_network
from pipeline.networks.outputs import TeacherOutputs, load_outputs
from pipeline.networks.ranks import Spread, is_first, spread
from pipeline.networks.resnet import LatentResNet, Prediction
from pipeline.networks.seeds import train_seeds
from pipeline.pretrained_teacher.card import load_pretrained_teacher
from pipeline.synthesize.params import NOBODY
from pipeline.train.mixing import Mixing
from pipeline.train.objective import Objective, Seen
from pipeline.train.outliers import OutlierBatches, check_outliers, check_parents, open_outliers
from pipeline.train.params import Params, TrainParams
from pipeline.units import finished_folder
from pipeline.workspace import note_forgotten, unfinished


@dataclass(frozen=True)
class DetectorUnit:
    """One seed's training, whole in itself: it can run in any process."""

    seed: int
    params: TrainParams
    latents: Path
    outliers: tuple[Path, ...]
    teacher: Path
    pretrained_teacher: Path
    output: Path
    curve: Path


@dataclass(frozen=True)
class Inputs:
    """The folders the stage reads."""

    latents: Path
    outliers: Path
    teachers: Path
    pretrained_teacher: Path


def train_detectors(params_file: Path, inputs: Inputs, output: Path, curves: Path, launch: Launch) -> None:
    """Train the detector of every seed; finished ones of a killed run are kept. `curves`: where epochs are shown."""
    params = load_params(params_file, Params)
    stores = tuple(inputs.outliers / name for name in params.synthesize.stores)
    note_forgotten(inputs.outliers, params.synthesize.stores)
    latents = load_id_train(inputs.latents)
    check_outliers(stores, latents.header)
    if params.train.micl.club.weight:
        check_parents(stores, latents)
    facts = {
        "seeds": params.seeds,
        "outliers": params.synthesize.stores,
        "params": params.train.model_dump(mode="json"),
        **({"ranks": launch.ranks} if launch.ranks > 1 else {}),
    }
    read = [inputs.latents, *stores, inputs.teachers, inputs.pretrained_teacher]
    with unfinished(output, facts, read, ranks=launch.ranks) as work:
        units = [
            DetectorUnit(
                seed=seed,
                params=params.train,
                latents=inputs.latents,
                outliers=stores,
                teacher=inputs.teachers / str(seed),
                pretrained_teacher=inputs.pretrained_teacher,
                output=work / str(seed),
                curve=curves / f"{seed}.csv",
            )
            for seed in params.seeds
        ]
        epochs = params.train.optimiser.epochs
        train_seeds(train_detector, units, curves=curves, epochs=epochs, launch=launch, what="training detectors")


def train_detector(unit: DetectorUnit) -> None:
    """Train one detector of its teacher's architecture, from fresh weights or from its teacher's."""
    prepare_torch(UNIT_THREADS)
    params, device = unit.params, chosen_device()
    latents = load_id_train(unit.latents)
    teacher = load_network(unit.teacher, latents.header.space, latents.class_names)
    known = _teacher_outputs(unit, latents)
    card = teacher.card.model_copy(update={"role": "detector", "head": params.head})
    with seeded(unit.seed, device):
        network = card.build()
        if params.start == "teacher":
            network.take_over(teacher.network)
        network.to(device)
        objective = Objective(params, network.features, known.features.shape[1], device)
    order = torch.Generator().manual_seed(unit.seed)
    outliers = OutlierBatches(open_outliers(unit.outliers, latents), params.outlier_batch_size, order)
    mixing = Mixing(params.mixing, len(latents.class_names), order)
    step = Step(spread(network), objective, latents, known, outliers, mixing)
    learning, rows = nn.ModuleList([network, objective]), len(latents.values)
    watch = Curve(unit.curve).show if is_first() else len
    history = fit(learning, rows, step, params.optimiser, order, watch)
    if is_first():
        with finished_folder(unit.output) as folder:
            save_network(folder, network, card, history)


def _teacher_outputs(unit: DetectorUnit, latents: Latents) -> TeacherOutputs:
    """Return what is distilled: the outputs of the pretrained teacher, or of this seed's own where there is none."""
    pretrained = load_pretrained_teacher(unit.pretrained_teacher, latents.header)
    own = (unit.teacher, len(latents.values), len(latents.class_names))
    return pretrained or load_outputs(*own)


class Step:
    """The losses of one step: ID rows, mixes of them, outliers and, for CLUB, parents pass the network together."""

    def __init__(
        self,
        network: LatentResNet | Spread,
        objective: Objective,
        latents: Latents,
        known: TeacherOutputs,
        outliers: OutlierBatches,
        mixing: Mixing,
    ) -> None:
        self.device = next(network.parameters()).device
        self.network, self.objective, self.outliers, self.mixing = network, objective, outliers, mixing
        self.values = latents.values.to(self.device)
        self.labels = torch.from_numpy(latents.labels).long().to(self.device)
        self.teacher = TeacherOutputs(*(values.to(self.device) for values in known))

    def __call__(self, batch: Tensor) -> Losses:
        """Return the losses of the ID rows numbered `batch` (n,), with the next outliers."""
        rows = batch.to(self.device)
        values, labels = self.values[rows], self.labels[rows]
        outliers, parents = self._draw()
        children = parents >= 0
        mixed = self.mixing(values, labels)
        passed = self.network(torch.cat([values, outliers, self.values[parents[children]], mixed.values]))
        sizes = [len(rows), len(outliers), int(children.sum()), len(mixed.values)]
        logits, features = passed.logits.split(sizes), passed.features.split(sizes)
        losses: Losses = self.objective(
            Seen(
                known=Prediction(logits[0], features[0]),
                margin_logits=self.network.head.training_logits(features[0], labels),
                labels=labels,
                mixed_logits=logits[3],
                mixed_targets=mixed.targets,
                outliers=Prediction(logits[1], features[1]),
                parents=features[2],
                children=features[1][children],
                teacher=TeacherOutputs(*(values[rows] for values in self.teacher)),
            )
        )
        return losses

    def _draw(self) -> tuple[Tensor, Tensor]:
        """Return outliers (m, c, h, w) and their parents' rows (m,); none, and NOBODY, where no loss looks at them."""
        params = self.objective.params
        if not params.uses_outliers:
            return self.values[:0], self.labels[:0]
        batch = self.outliers.draw()
        parents = batch.parents if params.micl.club.weight else torch.full_like(batch.parents, NOBODY)
        return batch.values.to(self.device), parents.to(self.device)
