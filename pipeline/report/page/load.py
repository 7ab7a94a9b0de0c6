"""Gather the content of the page: results, training histories, the graph of stages, the log, the machine."""

import json
import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.latents.guard_report import read_guard
from pipeline.networks.saved_network import HISTORY
from pipeline.params.quality import QUALITY_FORMAT
from pipeline.posthoc.table import ScoreTable
from pipeline.report.latent_facts import seconds_per_image
from pipeline.report.page.content import PageContent, RunRecord
from pipeline.report.page.stage_graph import build_graph
from pipeline.report.pictures import Pictures
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import read_json
from pipeline.runtime.report_file import read_report
from pipeline.runtime.run_log import LOG
from pipeline.schema.reader import read_yaml
from pipeline.schema.text import plain_yaml
from pipeline.training.curve import History

PIPELINE = Path("dvc.yaml")


def gather_content(
    metrics: dict[str, Any], table: ScoreTable, reports: Path, models: Path, pictures: Pictures, params_file: Path
) -> PageContent:
    """Return the content of the page of a run: the arguments, and the reports and histories that other stages wrote."""
    histories = load_histories({role: models / role for role in ("teacher", "detector")}, table.seeds)
    guard = read_guard(reports / "guard.json")
    quality = read_report(reports / "quality.json", QUALITY_FORMAT, "quality")
    sizes = {name: entry["images"] for name, entry in guard["sets"].items()}
    run_record = replace(load_run_record(params_file), seconds_per_image=seconds_per_image(read_log(LOG), sizes))
    outliers, hardest, decoded = pictures.outliers, pictures.hardest, pictures.decoded
    return PageContent(metrics, table, guard, quality, histories, outliers, hardest, decoded, run_record)


def load_histories(folders: dict[str, Path], seeds: tuple[int, ...]) -> dict[str, dict[int, History]]:
    """Return by role and seed the losses of each epoch; a network without a history is left out.

    folders: for each role, the folder that holds one folder per seed.
    """
    histories: dict[str, dict[int, History]] = {}
    for role, folder in folders.items():
        files = {seed: folder / str(seed) / HISTORY for seed in seeds}
        histories[role] = {seed: _history(file) for seed, file in files.items() if file.is_file()}
    return histories


def load_run_record(params_file: Path, pipeline_file: Path = PIPELINE, log_file: Path = LOG) -> RunRecord:
    """Return how the results were made; without dvc.yaml there is no graph, and without a log no durations."""
    params = read_yaml(params_file)
    text = params_file.read_text(encoding="utf-8")
    graph = None
    if pipeline_file.is_file():
        graph = build_graph(plain_yaml(pipeline_file.read_text(encoding="utf-8")), params, read_log(log_file))
    return RunRecord(graph, text, machine(), title=params["bundle"]["title"])


def read_log(log_file: Path) -> list[dict[str, Any]]:
    """Return the entries of the log, oldest first; a line that a crash cut short is skipped."""
    if not log_file.is_file():
        return []
    entries = []
    for line in log_file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def machine() -> str:
    """Return processor, number of cores, accelerator and system of this machine."""
    import torch

    cores = os.cpu_count() or 1
    parts = [processor(), f"{cores} core{'s' * (cores > 1)}"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join([*parts, f"Python {platform.python_version()}", platform.platform()])


def processor() -> str:
    """Return the name of the processor; on Linux, it is read from /proc/cpuinfo."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _history(file: Path) -> History:
    try:
        epochs = read_json(file)
        return [{str(loss): float(value) for loss, value in epoch.items()} for epoch in epochs]
    except (ValueError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"{file}: found no history in it ({error}), wanted a list of losses per epoch. "
            f"Delete its folder, then `dvc checkout` or `dvc repro` restores it."
        ) from error
