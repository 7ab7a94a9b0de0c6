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
from pipeline.networks.fit import fit
from pipeline.networks.folder import load_network, save_network
from pipeline.networks.gradients import Drawn, Losses, Step
from pipeline.networks.outputs import TeacherOutputs, load_outputs
from pipeline.networks.ranks import Spread, is_first, spread
from pipeline.networks.resnet import LatentResNet, Prediction
from pipeline.networks.seeds import train_seeds
from pipeline.pretrained_teacher.card import load_pretrained_teacher
from pipeline.synthesize.params import NOBODY
from pipeline.train.mixing import Mixing
from pipeline.train.objective import Objective, Seen
from pipeline.train.outliers import OutlierBatch, OutlierBatches, check_outliers, check_parents, open_outliers
from pipeline.train.params import Params, TrainParams
from pipeline.units import finished_folder
from pipeline.workspace import note_forgotten, unfinished

RECORDABLE_HEADS = ("linear", "logit_norm", "cosface", "arcface")


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
    taught = _teacher_outputs(unit, latents)
    card = teacher.card.model_copy(update={"role": "detector", "head": params.head})
    with seeded(unit.seed, device):
        network = card.build()
        if params.start == "teacher":
            network.take_over(teacher.network)
        network.to(device)
        objective = Objective(params, network.features, taught.features.shape[1], latents.header.space.shape, device)
    order = torch.Generator().manual_seed(unit.seed)
    outliers = OutlierBatches(open_outliers(unit.outliers, latents), params.outlier_batch_size, order)
    mixing = Mixing(params.mixing, len(latents.class_names), order)
    step = DetectorStep(spread(network), objective, latents, taught, outliers, mixing)
    learning, rows = nn.ModuleList([network, objective]), len(latents.values)
    watch = Curve(unit.curve).show if is_first() else len
    parts = Step(step.draw, step.losses, recordable=step.recordable)
    history = fit(learning, rows, parts, params.optimiser, order, watch)
    if is_first():
        with finished_folder(unit.output) as folder:
            save_network(folder, network, card, history)


def _teacher_outputs(unit: DetectorUnit, latents: Latents) -> TeacherOutputs:
    """Return what is distilled: the outputs of the pretrained teacher, or of this seed's own where there is none."""
    pretrained = load_pretrained_teacher(unit.pretrained_teacher, latents.header)
    own = (unit.teacher, len(latents.values), len(latents.class_names))
    return pretrained or load_outputs(*own)


class DetectorStep:
    """A step of a detector's training: ID rows, mixes of them, outliers and, for CLUB, parents pass together.

    What it draws are tensors on the network's device, in the order of the arguments of `losses`.
    """

    def __init__(
        self,
        network: LatentResNet | Spread,
        objective: Objective,
        latents: Latents,
        taught: TeacherOutputs,  # on these latents
        outliers: OutlierBatches,
        mixing: Mixing,
    ) -> None:
        self.device = next(network.parameters()).device
        self.network, self.objective, self.outliers, self.mixing = network, objective, outliers, mixing
        self.values = latents.values.to(self.device)
        self.labels = torch.from_numpy(latents.labels).long().to(self.device)
        self.teacher = TeacherOutputs(*(values.to(self.device) for values in taught))

    def draw(self, batch: Tensor) -> Drawn:
        """Draw what the losses of the ID rows numbered `batch` (n,) are computed from, with the next outliers."""
        rows = batch.to(self.device)
        values, labels = self.values[rows], self.labels[rows]
        drawn = self._draw()
        children = (drawn.parents != NOBODY).nonzero()[:, 0]  # found on the CPU, or it would wait for a GPU
        parents = self.values[drawn.parents[children].to(self.device)]
        mixed = self.mixing(values, labels)
        teacher = (said[rows] for said in self.teacher)
        outliers = drawn.values.to(self.device).float()
        return values, labels, outliers, parents, children.to(self.device), *mixed, *teacher

    def losses(
        self,
        values: Tensor,  # (n, c, h, w) of ID rows
        labels: Tensor,  # (n,)
        outliers: Tensor,  # (m, c, h, w)
        parents: Tensor,  # (p, c, h, w) ID rows
        children: Tensor,  # (p,) which of the outliers were made of them
        *rest: Tensor,  # mixed ID rows, their targets, and the teacher's logits and features of the ID rows
    ) -> Losses:
        """Return the losses."""
        mixed, targets, *teacher = rest
        passed = self.network(torch.cat([values, outliers, parents, mixed]))
        sizes = [len(values), len(outliers), len(parents), len(mixed)]
        logits, features = passed.logits.split(sizes), passed.features.split(sizes)
        found: Losses = self.objective(
            Seen(
                values=values,
                known=Prediction(logits[0], features[0]),
                margin_logits=self.network.head.training_logits(features[0], labels),
                labels=labels,
                mixed_logits=logits[3],
                mixed_targets=targets,
                outliers=Prediction(logits[1], features[1]),
                parents=features[2],
                children=features[1][children],
                teacher=TeacherOutputs(*teacher),
            )
        )
        return found

    @property
    def recordable(self) -> bool:
        """Whether the losses are the same kernels each time, as `networks.gradients.Step` wants to know.

        CLUB fits its posterior within a step, OAL's term draws pairs, two heads count steps or follow the batch, and
        ranks wait for each other.
        """
        params = self.objective.params
        drawing = params.micl.club.weight or params.micl.paper.weight
        return isinstance(self.network, LatentResNet) and not drawing and params.head.kind in RECORDABLE_HEADS

    def _draw(self) -> OutlierBatch:
        """Return the next outliers, of no parents where no loss asks for them; none where no loss looks at outliers."""
        params = self.objective.params
        if not params.uses_outliers:
            return OutlierBatch(torch.empty(0, *self.values.shape[1:]), torch.empty(0, dtype=torch.int64))
        batch = self.outliers.draw()
        return batch if params.micl.club.weight else batch._replace(parents=torch.full_like(batch.parents, NOBODY))
