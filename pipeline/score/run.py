"""Run the stage: from the table of per-sample scores to `reports/` and the thresholds in `models/decision/`."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.autoencoder.model import load_stage_output
from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, prepare_torch
from pipeline.errors import ParamsError
from pipeline.files import write_json
from pipeline.guard.report import read_guard
from pipeline.infer.table import TABLE, ScoreTable, read_table
from pipeline.latents import load_id_train, require_outliers
from pipeline.page.hardest import hardest_images, pictures_from
from pipeline.page.load import load_histories, load_made
from pipeline.page.material import Material
from pipeline.page.page import write_page
from pipeline.pictures import Line, draw_grid
from pipeline.progress import progress
from pipeline.quality.params import QUALITY_FORMAT
from pipeline.reports import read_report
from pipeline.score.decision import decide, write_decisions
from pipeline.score.params import Params
from pipeline.score.pictures import outlier_lines
from pipeline.score.plots import write_plots
from pipeline.score.report import Json, build_report
from pipeline.score.stand_in import describe_stand_ins, stand_in_groups
from pipeline.score.summary import summary
from pipeline.stand_in import STAND_IN
from pipeline.store.reader import Store
from pipeline.workspace import note_forgotten, unfinished


@dataclass(frozen=True)
class Inputs:
    """The folders the stage reads."""

    scores: Path
    latents: Path
    outliers: Path
    models: Path
    """Of its folders `autoencoder`, which draws, and of `teacher` and `detector` the histories of their training."""


def score(params_file: Path, inputs: Inputs, reports: Path, decisions_folder: Path) -> None:
    """Compute every metric, draw plots and pictures, write thresholds and the page and, last, the metrics.

    reports: holds `guard.json` and `quality.json`; `plots/`, `report.html`, `summary.json` and `metrics.json` are
    written there.
    """
    params = load_params(params_file, Params)
    prepare_torch(STAGE_THREADS)
    note_forgotten(inputs.latents, params.data.sets)
    groups = _groups(params)
    sets = [name for members in groups.values() for name in members]
    guard, quality = (
        read_guard(reports / "guard.json"),
        read_report(reports / "quality.json", QUALITY_FORMAT, "quality"),
    )
    table = _table(params_file, inputs.scores / TABLE, params, sets)
    stand_in = None
    if not sets:
        groups = stand_in_groups(table)
        sets = groups[STAND_IN]
        stores = [inputs.outliers / name for name in params.synthesize.stores]
        stand_in = describe_stand_ins(inputs.scores, sets, stores)
    decisions = decide(table, params.score.headline, params.score.id_rejection)
    metrics = build_report(table, groups, decisions, params.score, stand_in=stand_in)
    facts = {"params": params.model_dump(mode="json")}
    with unfinished(decisions_folder, facts, [inputs.scores]) as folder:
        write_decisions(folder, decisions)
    with unfinished(reports / "plots", facts, [inputs.scores]) as folder:
        write_plots(folder, table, sets, params.score.headline)
        pictures = _Pictures(params, inputs, table, metrics)
        for name, lines in pictures.outliers.items():
            draw_grid(folder / "outliers" / f"{name}.png", [*lines], f"{name}: decoded only to be looked at")
    roles = {role: inputs.models / role for role in ("teacher", "detector")}
    histories, made = load_histories(roles, params.seeds), load_made(params_file)
    write_page(
        reports / "report.html",
        Material(metrics, table, guard, quality, histories, pictures.outliers, pictures.hardest, made),
    )
    write_json(reports / "summary.json", summary(metrics))
    write_json(reports / "metrics.json", metrics)
    for warning in metrics["warnings"]:
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


class _Pictures:
    """What is decoded to be looked at: outliers of each store, and the hardest images of each set."""

    def __init__(self, params: Params, inputs: Inputs, table: ScoreTable, metrics: Json) -> None:
        id_train = load_id_train(inputs.latents / "id_train")
        autoencoder, _ = load_stage_output(inputs.models / "autoencoder")
        autoencoder.to(torch.device("cpu"))
        self.outliers: dict[str, tuple[Line, ...]] = {}
        with progress("drawing outliers, stores", len(params.synthesize.stores)) as advance:
            for name in params.synthesize.stores:
                store = Store(inputs.outliers / name)
                require_outliers(store, id_train.header)
                self.outliers[name] = outlier_lines(store, id_train, autoencoder, params.score.pictures_per_method)
                advance(1)
        picture = pictures_from(inputs.latents, inputs.scores, id_train.header, autoencoder)
        self.hardest = hardest_images(table, metrics, params.score.hardest_pictures, picture)
