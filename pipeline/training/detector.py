"""Train a detector: a network of its teacher's architecture, on ID latents and outliers."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.latents.latents import Latents, load_id_train, load_latents
from pipeline.latents.view_rows import TrainingRows, load_training_rows
from pipeline.networks.outputs import TeacherOutputs, load_outputs
from pipeline.networks.pretrained_teacher import load_pretrained_teacher
from pipeline.networks.resnet import LatentResNet, Prediction
from pipeline.networks.saved_network import load_network, save_network
from pipeline.params.methods.base import NOBODY
from pipeline.params.train import TrainParams
from pipeline.runtime.device import UNIT_THREADS, chosen_device, prepare_torch, seeded
from pipeline.runtime.units import finished_folder
from pipeline.training.curve import Curve
from pipeline.training.draws import OutlierBatch, OutlierBatches, open_outliers
from pipeline.training.gradients import Losses, Step, StepInputs
from pipeline.training.loop import fit, ignore_history, validate_and_show
from pipeline.training.mixing import Mixing
from pipeline.training.objective import BatchOutputs, Objective
from pipeline.training.outlier_targets import outlier_targets
from pipeline.training.ranks import RankedNetwork, is_first, shared_by_ranks

RECORDABLE_HEADS = ("linear", "logit_norm", "cosface", "arcface")
"""The heads without a state that changes in training."""


@dataclass(frozen=True)
class DetectorUnit:
    """The training of one seed's detector, self-contained so that any process can run it."""

    seed: int
    params: TrainParams
    latents: Path
    views: Path | None
    """Output of stage `views`; None where there are none."""
    validation: Path | None
    """Latents of ID validation, on which the accuracy of each epoch is shown; None shows none."""
    outliers: tuple[Path, ...]
    teacher: Path
    pretrained_teacher: Path
    output: Path
    curve: Path


def train_detector(unit: DetectorUnit) -> None:
    """Train one detector of its teacher's architecture, from fresh weights or from the teacher's weights."""
    prepare_torch(UNIT_THREADS)
    params, device = unit.params, chosen_device()
    latents = load_id_train(unit.latents)
    teacher = load_network(unit.teacher, latents.header.space, latents.class_names)
    teacher_outputs = _distilled_outputs(unit, latents)
    card = teacher.card.model_copy(update={"role": "detector", "head": params.head})
    with seeded(unit.seed, device):
        network = card.build()
        if params.start == "teacher":
            network.take_over(teacher.network)
        network.to(device)
        teacher_features, shape = teacher_outputs.features.shape[1], latents.header.space.shape
        objective = Objective(params, network.features, teacher_features, shape, device)
    order = torch.Generator().manual_seed(unit.seed)
    rows, labels = load_training_rows(unit.views, latents, device), torch.from_numpy(latents.labels).long()
    target = partial(outlier_targets, class_count=len(latents.class_names), label_mix=params.outlier_exposure.label_mix)
    stores = open_outliers(unit.outliers, latents, rows.views)
    outliers = OutlierBatches(stores, params.outlier_batch_size, order, target)
    mixing = Mixing(params.mixing, len(latents.class_names), order)
    batches = Batches(outliers, mixing, order)
    detector_step = DetectorStep(shared_by_ranks(network), objective, rows, labels, teacher_outputs, batches)
    step = Step(detector_step.draw, detector_step.losses, recordable=detector_step.recordable)
    trained_modules = nn.ModuleList([network, objective])
    validation = None if unit.validation is None else load_latents(unit.validation, latents.header)
    shown = partial(validate_and_show, network=network, validation=validation, curve=Curve(unit.curve))
    on_epoch = shown if is_first() else ignore_history
    history = fit(trained_modules, len(latents.values), step, params.optimiser, order, on_epoch)
    if is_first():
        with finished_folder(unit.output) as folder:
            save_network(folder, network, card, history)


def _distilled_outputs(unit: DetectorUnit, latents: Latents) -> TeacherOutputs:
    """Return the outputs to distill: those of the pretrained teacher, or of this seed's teacher if there is none."""
    pretrained = load_pretrained_teacher(unit.pretrained_teacher, latents.header)
    return pretrained or load_outputs(unit.teacher, len(latents.values), len(latents.class_names))


class Batches(NamedTuple):
    """What the batches of a training are drawn with: one generator gives rows, views, outliers and mixes."""

    outliers: OutlierBatches
    mixing: Mixing
    order: torch.Generator


class DetectorStep:
    """One step of a detector's training. `draw` draws the inputs of a batch, `losses` computes its losses.

    ID rows, outliers, their parents (for CLUB) and mixes of ID rows go through the network in one batch. The inputs are
    tensors on the network's device, in the order of the arguments of `losses`.
    """

    def __init__(
        self,
        network: LatentResNet | RankedNetwork,
        objective: Objective,
        rows: TrainingRows,
        labels: Tensor,  # (n,) of these rows
        teacher_outputs: TeacherOutputs,  # of the plain latents
        batches: Batches,
    ) -> None:
        self.device = next(network.parameters()).device
        self.network, self.objective, self.rows, self.batches = network, objective, rows, batches
        self.labels = labels.to(self.device)
        self.teacher = TeacherOutputs(*(values.to(self.device) for values in teacher_outputs))

    def draw(self, batch: Tensor) -> StepInputs:
        """Return the inputs of `losses` for the ID rows with indices `batch` (n,), with the next outliers."""
        rows = batch.to(self.device)
        values, labels = self.rows.take(batch, self.batches.order), self.labels[rows]
        outlier_batch = self._draw_outliers()
        children = (outlier_batch.parents != NOBODY).nonzero()[:, 0]  # on the CPU: on a GPU this would wait for it
        parents = self.rows.encodings(outlier_batch.parents[children], outlier_batch.views[children])
        mixed = self.batches.mixing(values, labels)
        teacher = (output[rows] for output in self.teacher)
        outliers, targets = outlier_batch.values.to(self.device).float(), outlier_batch.targets.to(self.device)
        return values, labels, outliers, targets, parents, children.to(self.device), *mixed, *teacher

    def losses(
        self,
        values: Tensor,  # (n, c, h, w) of ID rows
        labels: Tensor,  # (n,)
        outliers: Tensor,  # (m, c, h, w)
        outlier_targets: Tensor,  # (m, k)
        parents: Tensor,  # (p, c, h, w) ID rows
        children: Tensor,  # (p,) indices of the outliers that were made from these parents
        *others: Tensor,  # mixed ID rows, their targets, and the teacher's logits and features of the ID rows
    ) -> Losses:
        """Return the losses of one batch by name, weighted."""
        mixed, mixed_targets, *teacher = others
        prediction = self.network(torch.cat([values, outliers, parents, mixed]))
        sizes = [len(values), len(outliers), len(parents), len(mixed)]
        logits, features = prediction.logits.split(sizes), prediction.features.split(sizes)
        losses: Losses = self.objective(
            BatchOutputs(
                id_latents=values,
                id_rows=Prediction(logits[0], features[0]),
                margin_logits=self.network.head.training_logits(features[0], labels),
                labels=labels,
                mixed_logits=logits[3],
                mixed_targets=mixed_targets,
                outliers=Prediction(logits[1], features[1]),
                outlier_targets=outlier_targets,
                parent_features=features[2],
                child_features=features[1][children],
                teacher=TeacherOutputs(*teacher),
            )
        )
        return losses

    @property
    def recordable(self) -> bool:
        """Whether the losses can be recorded as a CUDA graph, see `pipeline.training.gradients.Step`.

        They cannot with CLUB, which fits its posterior within a step, or with OAL's term, which pairs rows. They cannot
        with heads that count steps or adapt to the batch, or with ranks, which wait for each other.
        """
        params = self.objective.params
        needs_pairs = params.micl.club.weight or params.micl.paper.weight
        return isinstance(self.network, LatentResNet) and not needs_pairs and params.head.kind in RECORDABLE_HEADS

    def _draw_outliers(self) -> OutlierBatch:
        """Return the next outliers: none unless a loss uses outliers, and without parents unless CLUB uses parents."""
        params = self.objective.params
        if not params.uses_outliers:
            none = torch.empty(0, dtype=torch.int64)
            values, targets = torch.empty(0, *self.rows.values.shape[1:]), torch.empty(0, self.teacher.logits.shape[1])
            return OutlierBatch(values, none, none, targets)
        batch = self.batches.outliers.draw()
        return batch if params.micl.club.weight else batch._replace(parents=torch.full_like(batch.parents, NOBODY))
