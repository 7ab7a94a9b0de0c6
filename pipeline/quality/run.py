"""Run the stage: from ID latents, outlier stores and teachers to `reports/quality.json` and its figures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.files import write_json
from pipeline.latents import Latents, load_id_train, load_latents, require_outliers
from pipeline.networks.folder import load_network, predict
from pipeline.networks.resnet import LatentResNet
from pipeline.progress import progress
from pipeline.quality.figures import draw_methods, draw_posteriors
from pipeline.quality.measure import Reference, Rows, measure, spaced_rows
from pipeline.quality.params import QUALITY_FORMAT, Params
from pipeline.store.format import LATENT
from pipeline.store.reader import Store
from pipeline.workspace import unfinished


@dataclass(frozen=True)
class Inputs:
    """The folders the stage reads."""

    id_train: Path
    id_validation: Path
    outliers: Path
    teachers: Path


def judge_outliers(params_file: Path, inputs: Inputs, report_file: Path, figures: Path) -> None:
    """Measure the rows of every store and, as a yardstick, the ID validation latents; write the report last."""
    params = load_params(params_file, Params)
    prepare_torch(STAGE_THREADS)
    id_train = load_id_train(inputs.id_train)
    stores = {name: Store(inputs.outliers / name) for name in params.synthesize.stores}
    for store in stores.values():
        require_outliers(store, id_train.header)
    facts = {"params": params.model_dump(mode="json", include={"seeds", "quality"}), "stores": list(stores)}
    with unfinished(figures, facts, [inputs.id_train, inputs.id_validation, inputs.outliers, inputs.teachers]) as work:
        teachers = [_teacher(inputs.teachers / str(seed), id_train) for seed in params.seeds]
        reference = Reference(id_train, params.quality, chosen_device())
        validation = _of_latents(load_latents(inputs.id_validation, id_train.header), params.quality.rows, teachers)
        with progress("looking at outliers, stores", len(stores)) as advance:
            methods = {}
            for name, store in stores.items():
                methods[name] = _of_store(store, params.quality.rows, teachers)
                advance(1)
        report = {
            "format": QUALITY_FORMAT,
            "seeds": list(params.seeds),
            "id_validation": measure(validation, reference),
            "methods": {name: measure(rows, reference) for name, rows in methods.items()},
        }
        draw_methods(work / "methods.png", methods, validation, reference)
        draw_posteriors(work / "posteriors.png", methods)
    write_json(report_file, report)


def _teacher(folder: Path, id_train: Latents) -> LatentResNet:
    return load_network(folder, id_train.header.space, id_train.class_names).network.to(chosen_device())


def _of_latents(latents: Latents, most: int, teachers: list[LatentResNet]) -> Rows:
    rows = spaced_rows(len(latents.values), most)
    classes = np.stack([latents.labels[rows]] * 2, axis=1).astype(np.int64)
    return _rows(latents.values[torch.from_numpy(rows)], classes, np.ones(len(classes)), teachers)


def _of_store(store: Store, most: int, teachers: list[LatentResNet]) -> Rows:
    rows = spaced_rows(store.rows, most)
    values = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
    names = sorted(name for name in store.header.columns if name.startswith("class_"))
    names = ["class_a", "class_b", *(name for name in names if name not in ("class_a", "class_b"))]
    classes = np.stack([store.take(name, rows) for name in names], axis=1).astype(np.int64)
    return _rows(values, classes, store.take("lam", rows).astype(np.float64), teachers)


def _rows(values: torch.Tensor, classes: np.ndarray, share: np.ndarray, teachers: list[LatentResNet]) -> Rows:
    posteriors = [predict(teacher, values)[0].double().softmax(1).numpy() for teacher in teachers]
    return Rows(values.flatten(1), classes, share, np.stack(posteriors))
