"""Choose the teacher's settings on ID validation: the baseline of every report must be a fair one.

Run `python -m benchmarks.teacher_selection` after `dvc repro`. It reads ID training and validation latents only; OOD
sets are never opened. Prints accuracy and cross-entropy on ID validation, mean ± std over the seeds of params.yaml.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.nn.functional import cross_entropy

from pipeline.latents.latents import load_id_train, load_latents
from pipeline.networks.saved_network import load_network, predict
from pipeline.params.all_params import load_all
from pipeline.params.teacher import TeacherParams
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.device import chosen_device, default_workers
from pipeline.runtime.progress import progress
from pipeline.training.teacher import TeacherUnit, train_teacher

ENCODER = Path("models/encoder")
LATENTS = Path("data/latents")
WORK = Path(".work/teacher-selection")
GRID = (  # width, learning rate, epochs, weight decay
    (32, 0.05, 40, 0.0005),
    (32, 0.02, 40, 0.0005),
    (32, 0.1, 40, 0.0005),
    (32, 0.05, 40, 0.002),
    (32, 0.05, 80, 0.0005),
    (32, 0.02, 80, 0.0005),
    (64, 0.05, 40, 0.0005),
)


@dataclass(frozen=True)
class Trial:
    """One setting with one seed."""

    setting: tuple[int, float, int, float]
    unit: TeacherUnit


def main() -> None:
    """Train every setting with every seed and print the table."""
    params = load_all(PARAMS_FILE)
    trials = [Trial(setting, unit(setting, seed, params.teacher)) for setting in GRID for seed in params.seeds]
    found: dict[tuple[int, float, int, float], list[tuple[float, float]]] = {setting: [] for setting in GRID}
    context = multiprocessing.get_context("spawn")
    workers = default_workers(chosen_device())
    with (
        progress("training teachers", len(trials)) as advance,
        ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool,
    ):
        for trial, result in zip(trials, pool.map(validate, trials), strict=True):
            found[trial.setting].append(result)
            advance(1)
    show(found)


def folder(setting: tuple[int, float, int, float], seed: int) -> Path:
    """Return where the teacher of a trial is kept."""
    return WORK / "-".join(map(str, setting)) / str(seed)


def changed(params: TeacherParams, setting: tuple[int, float, int, float]) -> TeacherParams:
    """Return the teacher's parameters with those of the setting."""
    width, learning_rate, epochs, weight_decay = setting
    network = params.network.model_copy(update={"width": width})
    rates = {"learning_rate": learning_rate, "epochs": epochs, "weight_decay": weight_decay}
    return TeacherParams(start="scratch", network=network, optimiser=params.optimiser.model_copy(update=rates))


def unit(setting: tuple[int, float, int, float], seed: int, params: TeacherParams) -> TeacherUnit:
    """Return one training."""
    output, latents = folder(setting, seed), LATENTS / "id_train"
    curve = output.with_name(f"{seed}.csv")
    return TeacherUnit(seed, changed(params, setting), ENCODER, latents, None, None, output, curve)


def validate(trial: Trial) -> tuple[float, float]:
    """Return accuracy and cross-entropy of a trial on ID validation; a teacher that is there is not trained again."""
    if not trial.unit.output.is_dir():
        train_teacher(trial.unit)
    id_train = load_id_train(LATENTS / "id_train")
    validation = load_latents(LATENTS / "id_validation", id_train.header)
    trained = load_network(trial.unit.output, id_train.header.space, id_train.class_names)
    logits, _ = predict(trained.network, validation.values)
    labels = torch.from_numpy(validation.labels).long()
    return float((logits.argmax(1) == labels).double().mean()), float(cross_entropy(logits.double(), labels))


def show(found: dict[tuple[int, float, int, float], list[tuple[float, float]]]) -> None:
    """Print one line per setting."""
    table = Table(title="teacher on ID validation, mean ± std over seeds")
    for name in ("width", "learning rate", "epochs", "weight decay", "accuracy in percent", "cross-entropy"):
        table.add_column(name, justify="right")
    for setting, results in found.items():
        accuracy, loss = np.array(results).T
        table.add_row(
            *map(str, setting),
            f"{100 * accuracy.mean():.2f} ± {100 * accuracy.std(ddof=1):.2f}",
            f"{loss.mean():.4f} ± {loss.std(ddof=1):.4f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
