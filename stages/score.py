"""Stage `score`: the table of per-sample scores to `reports/` and `models/decision/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run

if TYPE_CHECKING:
    from pipeline.params.sets import ImageSets
    from pipeline.posthoc.table import ScoreTable
    from pipeline.report.pictures import Pictures


def score(
    scores: Path,
    rival: Path,
    latents: Path,
    outliers: Path,
    models: Path,
    reports: Path,
    decisions: Path,
    params: ParamsPath = PARAMS_FILE,
) -> None:
    """Judge SCORES beside RIVAL; write metrics, plots and the page to REPORTS and thresholds to DECISIONS.

    Pictures are of LATENTS and OUTLIERS, decoded with MODELS where these can. REPORTS holds `guard.json` and
    `quality.json` already; `metrics.json` is written last.
    """
    from pipeline.params.data import DataParams
    from pipeline.params.methods.enabled import OutlierStores
    from pipeline.params.score import ScoreParams
    from pipeline.params.sets import ImageSets
    from pipeline.posthoc.decision import decide, write_decisions
    from pipeline.report.advice import add_advice
    from pipeline.report.latent_facts import latent_facts
    from pipeline.report.metrics_json import build_report, summary
    from pipeline.report.page.load import gather_content
    from pipeline.report.page.page import write_page
    from pipeline.report.pictures import PictureFolders, Pictures
    from pipeline.report.plots import write_plots
    from pipeline.report.rival import add_rival
    from pipeline.report.stand_ins import groups_of, stand_ins_of
    from pipeline.runtime.device import STAGE_THREADS, prepare_torch
    from pipeline.runtime.files import write_json
    from pipeline.runtime.text.terminal import warn
    from pipeline.runtime.workspace import publish_when_done, warn_of_orphaned_outputs
    from pipeline.schema.reader import ParamsFile

    file = ParamsFile(params)
    settings, sets = file.section("score", ScoreParams), file.section("data", ImageSets)
    stores = [outliers / name for name in file.section("synthesize", OutlierStores).names]
    prepare_torch(STAGE_THREADS)
    warn_of_orphaned_outputs(latents, sets.sets)
    table = _read_table(params, scores, file.seeds, sets)
    groups = groups_of(table, sets)
    decided = decide(table, settings.headline, settings.id_rejection)
    metrics = build_report(table, groups, decided, settings, stand_in=stand_ins_of(groups, scores, stores))
    add_rival(metrics, rival, table, groups, settings)
    metrics["latents"] = latent_facts(latents / "id_train", models / "encoder")
    add_advice(metrics, table, latents / "id_train", models / "teacher", reports / "quality.json")
    facts = {"seeds": file.seeds, "score": settings.model_dump(mode="json"), "sets": sets.model_dump(mode="json")}
    with publish_when_done(decisions, facts, [scores]) as folder:
        write_decisions(folder, decided)
    folders = PictureFolders(latents, scores, stores, models / "encoder")
    pictures = Pictures.drawn(folders, file.section("data", DataParams), settings, table, metrics)
    with publish_when_done(reports / "plots", facts, [scores, models / "encoder"]) as folder:
        write_plots(folder, table, [*metrics["sets"]], settings.headline)
        _draw_outliers(folder / "outliers", pictures)
    write_page(reports / "report.html", gather_content(metrics, table, reports, models, pictures, params))
    write_json(reports / "summary.json", summary(metrics))
    write_json(reports / "metrics.json", metrics)
    warn(*(f"warning: {warning}" for warning in metrics["warnings"]))


def _draw_outliers(folder: Path, pictures: Pictures) -> None:
    from pipeline.report.grid import draw_grid

    note = "decoded only to be looked at" if pictures.decoded else "parents; this encoder cannot decode outliers"
    for name, lines in (entry for entry in pictures.outliers.items() if entry[1]):
        draw_grid(folder / f"{name}.png", [*lines], f"{name}: {note}")


def _read_table(params: Path, scores: Path, seeds: tuple[int, ...], sets: ImageSets) -> ScoreTable:
    """Return the table of scores; raises ParamsError when it is of other seeds or lacks an OOD set."""
    from pipeline.posthoc.table_file import TABLE, read_table
    from pipeline.runtime.errors import ParamsError

    path = scores / TABLE
    table = read_table(path)
    if table.seeds != seeds:
        raise ParamsError(params, [f"seeds are {list(seeds)}, but {path} has {list(table.seeds)}"])
    if missing := [name for name in sets.ood_sets() if name not in table.labels]:
        raise ParamsError(params, [f"data.sets.{missing[0]} is not in {path}; run `dvc repro infer`"])
    return table


if __name__ == "__main__":
    run(score)
