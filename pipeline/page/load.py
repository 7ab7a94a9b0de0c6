"""Gather from files what stages leave beside their results: histories, the graph, the log, the machine."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import read_yaml
from pipeline.curve import History
from pipeline.errors import PipelineError
from pipeline.files import read_json
from pipeline.networks.folder import HISTORY
from pipeline.page.graph import build_graph
from pipeline.page.material import Made
from pipeline.runlog import LOG

PIPELINE = Path("dvc.yaml")


def load_histories(folders: dict[str, Path], seeds: tuple[int, ...]) -> dict[str, dict[int, History]]:
    """Return by role and seed the losses of each epoch; a network that brought none is left out.

    folders: by role, the folder that holds one folder per seed.
    """
    found: dict[str, dict[int, History]] = {}
    for role, folder in folders.items():
        files = {seed: folder / str(seed) / HISTORY for seed in seeds}
        found[role] = {seed: _history(file) for seed, file in files.items() if file.is_file()}
    return found


def load_made(params_file: Path, pipeline_file: Path = PIPELINE, log_file: Path = LOG) -> Made:
    """Return how the results came about; without dvc.yaml there is no graph, and without a log no durations."""
    params = read_yaml(params_file)
    text = params_file.read_text(encoding="utf-8")
    if not pipeline_file.is_file():
        return Made(None, text, machine())
    pipeline = yaml.safe_load(pipeline_file.read_text(encoding="utf-8"))
    return Made(build_graph(pipeline, params, read_log(log_file)), text, machine())


def read_log(log_file: Path) -> list[dict[str, Any]]:
    """Return the lines of the log, oldest first; a line that a crash cut short is passed over."""
    if not log_file.is_file():
        return []
    found = []
    for line in log_file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def machine() -> str:
    """Return processor, number of cores, accelerator and system of this machine."""
    import torch

    cores = os.cpu_count() or 1
    parts = [processor(), f"{cores} core{'s' * (cores > 1)}"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join([*parts, f"Python {platform.python_version()}", platform.platform()])


def processor() -> str:
    """Return the processor's name; Linux keeps it in a file of its own."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _history(file: Path) -> History:
    try:
        found = read_json(file)
        return [{str(loss): float(value) for loss, value in epoch.items()} for epoch in found]
    except (ValueError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"{file}: found no history in it ({error}), wanted a list of losses per epoch. "
            f"Delete its folder, then `dvc checkout` or `dvc repro` restores it."
        ) from error
