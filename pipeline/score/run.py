"""Run the stage: from the table of per-sample scores to `reports/` and the thresholds in `models/decision/`."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.autoencoder.model import load_stage_output
from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, repeatable
from pipeline.errors import ParamsError
from pipeline.files import write_json
from pipeline.infer.table import TABLE, ScoreTable, read_table
from pipeline.latents import load_id_train, require_outliers
from pipeline.score.decision import decide, write_decisions
from pipeline.score.params import Params
from pipeline.score.pictures import draw_outliers
from pipeline.score.plots import write_plots
from pipeline.score.report import build_report
from pipeline.score.summary import summary
from pipeline.store.reader import Store
from pipeline.workspace import note_forgotten, unfinished


@dataclass(frozen=True)
class Inputs:
    """The folders the stage reads."""

    scores: Path
    latents: Path
    outliers: Path
    autoencoder: Path


@dataclass(frozen=True)
class Outputs:
    """What the stage writes."""

    summary: Path
    metrics: Path
    plots: Path
    decisions: Path


def score(params_file: Path, inputs: Inputs, outputs: Outputs) -> None:
    """Compute every metric, write the plots, pictures and thresholds and, last, the metrics."""
    params = load_params(params_file, Params)
    repeatable(STAGE_THREADS)
    note_forgotten(inputs.latents, params.data.sets)
    groups = _groups(params)
    sets = [name for members in groups.values() for name in members]
    table = _table(params_file, inputs.scores / TABLE, params, sets)
    facts = {"params": params.model_dump(mode="json")}
    with unfinished(outputs.plots, facts, [inputs.scores]) as plots:
        decisions = decide(table, params.score.headline, params.score.id_rejection)
        report = build_report(table, groups, decisions, params.score)
        write_plots(plots, table, sets, params.score.headline)
        _draw_pictures(plots / "outliers", params, inputs)
    with unfinished(outputs.decisions, facts, [inputs.scores]) as folder:
        write_decisions(folder, decisions)
    write_json(outputs.summary, summary(report))
    write_json(outputs.metrics, report)
    for warning in report["warnings"]:
        sys.stderr.write(f"warning: {warning}\n")


def _groups(params: Params) -> dict[str, list[str]]:
    ood = params.data.ood_sets()
    return {group: [name for name in ood if ood[name] == group] for group in ("near", "far")}


def _table(params_file: Path, path: Path, params: Params, sets: list[str]) -> ScoreTable:
    table = read_table(path)
    if table.seeds != params.seeds:
        raise ParamsError(params_file, [f"seeds are {list(params.seeds)}, but {path} has {list(table.seeds)}"])
    if missing := [name for name in sets if name not in table.labels]:
        raise ParamsError(params_file, [f"data.sets.{missing[0]} is not in {path}; run `dvc repro infer`"])
    return table


def _draw_pictures(folder: Path, params: Params, inputs: Inputs) -> None:
    id_train = load_id_train(inputs.latents / "id_train")
    autoencoder, _ = load_stage_output(inputs.autoencoder)
    autoencoder.to(torch.device("cpu"))
    for name in params.synthesize.stores:
        store = Store(inputs.outliers / name)
        require_outliers(store, id_train.header)
        draw_outliers(folder / f"{name}.png", store, id_train, autoencoder, params.score.pictures_per_method)
