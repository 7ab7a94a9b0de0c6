"""Train a detector from stores on disk, against a bare PyTorch loop on tensors that lie in memory."""

import shutil
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from benchmarks.cases.case import Case
from benchmarks.cases.store import UNIT, random_rows, write_store
from pipeline.latents.latents import load_id_train
from pipeline.networks.outputs import TeacherOutputs, load_outputs
from pipeline.networks.pretrained_teacher import write_card
from pipeline.networks.resnet import LatentResNet, Prediction
from pipeline.networks.saved_network import load_network
from pipeline.outliers.method import ANCESTRY
from pipeline.params.teacher import TeacherParams
from pipeline.params.train import TrainParams
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.device import UNIT_THREADS, chosen_device
from pipeline.schema.reader import ParamsFile
from pipeline.store.format import LatentSpace
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter
from pipeline.training.detector import DetectorUnit, train_detector
from pipeline.training.mixing import Mixing
from pipeline.training.objective import BatchOutputs, Objective
from pipeline.training.teacher import TeacherUnit, train_teacher

SectionT = TypeVar("SectionT", TeacherParams, TrainParams)
CLASSES, OUTLIERS, STORES = 10, 4096, 3


def train_cases(folder: Path) -> dict[str, Case]:
    """Return cases of the default detector at the latents of 32 px and of 128 px."""
    return {
        "train_4x4_latents_vs_bare_loop": _case(folder / "4x4", (4, 4, 4), rows=2048, epochs=10),
        "train_16x16_latents_vs_bare_loop": _case(folder / "16x16", (4, 16, 16), rows=1024, epochs=2),
    }


def _case(folder: Path, shape: tuple[int, int, int], rows: int, epochs: int) -> Case:
    unit = _prepared(folder, shape, rows, epochs)

    def clear() -> None:
        shutil.rmtree(unit.output, ignore_errors=True)

    bare = BareLoop(unit)
    return Case(bare.train, lambda: train_detector(unit), 0.95, rounds=5, threads=UNIT_THREADS, clear=clear)


def _prepared(folder: Path, shape: tuple[int, int, int], rows: int, epochs: int) -> DetectorUnit:
    """Write all that a detector's training reads, and return that training."""
    space = LatentSpace(encoder="bench", scaling_factor=1.0, image_size=8 * shape[1], shape=shape)
    write_store(folder / "id", random_rows(rows, shape), (np.arange(rows) % CLASSES).astype(np.int32), space)
    stores = tuple(folder / f"outliers-{number}" for number in range(STORES))
    for store in stores:
        _write_outliers(store, shape, space)
    file = ParamsFile(PARAMS_FILE)
    teacher = _shortened(file.section("teacher", TeacherParams), epochs=1)
    of_teacher = TeacherUnit(0, teacher, folder, folder / "id", None, None, folder / "teacher", folder / "teacher.csv")
    train_teacher(of_teacher)
    (folder / "none").mkdir()
    write_card(folder / "none", None)
    return DetectorUnit(
        seed=0,
        params=_shortened(file.section("train", TrainParams), epochs),
        latents=folder / "id",
        views=None,
        validation=None,
        outliers=stores,
        teacher=folder / "teacher",
        pretrained_teacher=folder / "none",
        output=folder / "detector",
        curve=folder / "curve.csv",
    )


def _shortened(section: SectionT, epochs: int) -> SectionT:
    """Return the parameters of a training with other epochs."""
    optimiser = section.optimiser.model_copy(update={"epochs": epochs})
    return section.model_copy(update={"optimiser": optimiser})


def _write_outliers(folder: Path, shape: tuple[int, int, int], space: LatentSpace) -> None:
    writer = StoreWriter(folder, OUTLIERS, shape, ANCESTRY)
    for shard, here in enumerate(writer.shards):
        columns = {name: np.zeros(len(here), kind) for name, kind in ANCESTRY.items()}
        writer.write_shard(shard, random_rows(OUTLIERS, shape)[here.start : here.stop], columns)
    names = tuple(str(label) for label in range(CLASSES))
    writer.finish(kind="outliers", space=space, standardisation=UNIT, class_names=names, provenance={})


class BareLoop:
    """What one would write for one experiment: tensors in memory, no files, no checks, no curve."""

    def __init__(self, unit: DetectorUnit) -> None:
        self.params = unit.params
        latents = load_id_train(unit.latents)
        self.device = chosen_device()
        self.values, self.shape = latents.values.to(self.device), latents.header.space.shape
        self.labels = torch.from_numpy(latents.labels).long().to(self.device)
        stored = [Store(folder).latents().astype(np.float32) for folder in unit.outliers]
        self.outliers = [torch.from_numpy(rows).to(self.device) for rows in stored]
        self.teacher = load_network(unit.teacher, latents.header.space, latents.class_names)
        teacher_outputs = load_outputs(unit.teacher, len(self.values), CLASSES)
        self.teacher_outputs = TeacherOutputs(*(values.to(self.device) for values in teacher_outputs))
        self.mixing = Mixing(unit.params.mixing, CLASSES, torch.Generator().manual_seed(unit.seed))

    def train(self) -> None:
        """Train a detector with the same network, losses and numbers of rows in a batch."""
        params, optimiser = self.params, self.params.optimiser
        network = self.teacher.card.model_copy(update={"role": "detector", "head": params.head}).build().to(self.device)
        if params.start == "teacher":
            network.take_over(self.teacher.network)
        teacher_features = self.teacher_outputs.features.shape[1]
        objective = Objective(params, network.features, teacher_features, self.shape, self.device)
        descent = torch.optim.SGD(
            nn.ModuleList([network, objective]).parameters(),
            optimiser.learning_rate,
            momentum=optimiser.momentum,
            weight_decay=optimiser.weight_decay,
            nesterov=optimiser.momentum > 0,
        )
        steps = optimiser.epochs * -(-len(self.values) // optimiser.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
        network.train()
        for _ in range(optimiser.epochs):
            for rows in torch.randperm(len(self.values)).split(optimiser.batch_size):
                loss = torch.stack(list(self._losses(network, objective, rows).values())).sum()
                descent.zero_grad()
                loss.backward()
                descent.step()
                schedule.step()

    def _losses(self, network: LatentResNet, objective: Objective, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        share, rest = divmod(self.params.outlier_batch_size, STORES)
        drawn = [
            values[torch.randint(OUTLIERS, (share + (number < rest),))] for number, values in enumerate(self.outliers)
        ]
        outliers = torch.cat(drawn)
        mixed = self.mixing(self.values[rows], self.labels[rows])
        passed = network(torch.cat([self.values[rows], outliers, mixed.values]))
        sizes = [len(rows), len(outliers), len(mixed.values)]
        logits, features = passed.logits.split(sizes), passed.features.split(sizes)
        outputs = BatchOutputs(
            id_latents=self.values[rows],
            id_rows=Prediction(logits[0], features[0]),
            margin_logits=network.head.training_logits(features[0], self.labels[rows]),
            labels=self.labels[rows],
            mixed_logits=logits[2],
            mixed_targets=mixed.targets,
            outliers=Prediction(logits[1], features[1]),
            outlier_targets=torch.full_like(logits[1], 1 / logits[1].shape[1]),
            parent_features=features[0][:0],
            child_features=features[0][:0],
            teacher=TeacherOutputs(*(values[rows] for values in self.teacher_outputs)),
        )
        losses: dict[str, torch.Tensor] = objective(outputs)
        return losses
