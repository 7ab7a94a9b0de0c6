"""Run the stage: from both networks of each seed and all latents to `reports/`."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.autoencoder.model import load_stage_output
from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, repeatable
from pipeline.errors import ParamsError
from pipeline.files import write_json
from pipeline.latents import Latents, load_id_train, load_latents, require_outliers
from pipeline.progress import progress
from pipeline.score.evaluate import SIDES, evaluate
from pipeline.score.params import Params
from pipeline.score.pictures import draw_outliers
from pipeline.score.plots import write_plots
from pipeline.score.report import build_report
from pipeline.store.reader import Store
from pipeline.workspace import note_forgotten, unfinished


@dataclass(frozen=True)
class Inputs:
    """The folders the stage reads."""

    latents: Path
    outliers: Path
    teachers: Path
    detectors: Path
    autoencoder: Path


def score(params_file: Path, inputs: Inputs, metrics_file: Path, plots: Path) -> None:
    """Score every image set, write the plots and pictures and, last, the metrics."""
    params = load_params(params_file, Params)
    repeatable(STAGE_THREADS)
    note_forgotten(inputs.latents, params.data.sets)
    groups = _groups(params)
    sets = [name for members in groups.values() for name in members]
    id_train = load_id_train(inputs.latents / "id_train")
    if params.score.knn_neighbours > len(id_train.values):
        asked, most = params.score.knn_neighbours, len(id_train.values)
        raise ParamsError(params_file, [f"score.knn_neighbours is {asked}, but there are {most} ID training latents"])
    latents = {
        name: load_latents(inputs.latents / name, id_train.header) for name in ("id_validation", "id_test", *sets)
    }
    folders = {"baseline": inputs.teachers, "detector": inputs.detectors}
    facts = {"params": params.model_dump(mode="json")}
    with unfinished(plots, facts, list(folders.values())) as work:
        with progress("scoring networks", len(SIDES) * len(params.seeds)) as advance:
            found = evaluate(params.seeds, folders, id_train, latents, params.score.knn_neighbours, advance)
        report = build_report(found, params.seeds, groups, params.score)
        write_plots(work, found, sets, params.score.headline)
        _draw_pictures(work / "outliers", params, inputs, id_train)
    write_json(metrics_file, report)


def _groups(params: Params) -> dict[str, list[str]]:
    ood = params.data.ood_sets()
    return {group: [name for name in ood if ood[name] == group] for group in ("near", "far")}


def _draw_pictures(folder: Path, params: Params, inputs: Inputs, id_train: Latents) -> None:
    autoencoder, _ = load_stage_output(inputs.autoencoder)
    autoencoder.to(torch.device("cpu"))
    for name in params.synthesize.stores:
        store = Store(inputs.outliers / name)
        require_outliers(store, id_train.header)
        draw_outliers(folder / f"{name}.png", store, id_train, autoencoder, params.score.pictures_per_method)
