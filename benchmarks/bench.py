"""`make bench`: each part of the pipeline against the plain way to do its work, side by side in one run.

On a machine with a GPU what computes is measured on it, on both sides; what only moves bytes is measured on CPUs.

Every ratio is (time of the plain thing) / (our time), each the fastest of several rounds in which the two take turns:
what else the machine does can only add to a time. 1 means as fast, above 1 faster; medians stand beside it.
"""

import os
import platform
import tempfile
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cases.case import measured
from benchmarks.cases.encode import encode_cases
from benchmarks.cases.store import store_cases
from benchmarks.cases.synthesis import synthesis_cases
from benchmarks.cases.train import train_cases
from pipeline.report.page.load import processor
from pipeline.runtime.device import chosen_device
from pipeline.runtime.files import write_json
from pipeline.runtime.run_log import git_revision

FORMAT = "latent-outliers-bench/1"
RESULTS = {"cpu": Path("benchmarks/results/bench-cpu.json"), "cuda": Path("benchmarks/results/bench-gpu.json")}
PARTS = {
    "cpu": (store_cases, synthesis_cases, encode_cases, train_cases),
    "cuda": (synthesis_cases, encode_cases, train_cases),
}


def main() -> None:
    """Measure, print and write the ratios."""
    device, ratios = chosen_device().type, {}
    for part in PARTS[device]:
        with tempfile.TemporaryDirectory(dir=".") as name:
            for what, case in part(Path(name)).items():
                ratios[what] = measured(what, case)
    report = {"format": FORMAT, "hardware": hardware(), "commit": git_revision(), "ratios": ratios}
    write_json(RESULTS[device], report)
    show(ratios, RESULTS[device])


def hardware() -> str:
    """Return what computed: GPU if there is one, processor, cores, versions."""
    cores, device = len(os.sched_getaffinity(0)), chosen_device()
    gpu = f"{torch.cuda.get_device_name(device)}, " if device.type == "cuda" else ""
    return f"{gpu}{processor()}, {cores} cores, Python {platform.python_version()}, torch {torch.__version__}"


def show(ratios: dict[str, dict[str, float | bool]], result: Path) -> None:
    """Print the ratios beside their goals."""
    table = Table(title=f"ratios, written to {result}")
    for name in ("what", "ratio", "of medians", "goal", "reached"):
        table.add_column(name)
    for what, found in ratios.items():
        reached = found["value"] >= found["goal"]
        told = "yes" if reached else "[red]no[/red]"
        table.add_row(what, f"{found['value']:.2f}", f"{found['of_medians']:.2f}", f">= {found['goal']:.2f}", told)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
