"""What each stage of a run costs: time, processor time and peak memory, beside how busy the machine was.

Run `python -m benchmarks.stage_costs NAME` in a clone where nothing has run yet, with the parameters to be measured. It
runs every stage by itself, as `dvc repro --single-item` does, so that each figure has the start of DVC and of Python in
it, prints a table and writes `benchmarks/results/stage_costs/NAME.json`. Stages that are up to date have no figure: so
after a change of parameters in the same clone, under another NAME, it measures what the change reruns. What the run
reached and what its latents take stand in the file as well.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import networkx as nx
from rich.console import Console
from rich.table import Table

from benchmarks.bench import hardware
from pipeline.runtime.files import read_json, write_json
from pipeline.runtime.run_log import git_revision

RESULTS, METRICS = Path("benchmarks/results/stage_costs"), Path("reports/metrics.json")
REACHED = ("seeds", "id_accuracy", "groups", "sizes", "latents")
"""Sections of METRICS that say what a run reached, and what its latents take."""
KIB = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of ru_maxrss."""
MEASURED = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
"""Runs a command, and says what it used. A small process of its own, since Linux takes the memory of whoever starts a
process for the least that it had, and this one here has PyTorch loaded."""


def main() -> None:
    """Run all stages, and print and write what each of them cost."""
    name = sys.argv[1]
    stages = {stage: _cost(stage) for stage in _in_order() if _is_out_of_date(stage)}
    report = {"hardware": hardware(), "revision": git_revision(), "stages": stages, "reached": _reached()}
    write_json(RESULTS / f"{name}.json", report)
    table = Table("stage", "seconds", "processor seconds", "peak memory, MiB", "load at its start")
    for stage, cost in [*stages.items(), ("all", _total(stages))]:
        table.add_row(stage, *(f"{cost[key]:.1f}" for key in ("seconds", "cpu_seconds", "peak_mib", "load")))
    Console(width=110).print(table)


def _in_order() -> list[str]:
    """Return the names of all stages, each after those it depends on."""
    from dvc.repo import Repo

    graph = Repo().index.graph  # from a stage to what it depends on
    return [stage.addressing for stage in reversed(list(nx.topological_sort(graph)))]


def _is_out_of_date(stage: str) -> bool:
    """Return whether DVC would run a stage."""
    from dvc.repo import Repo

    return bool(Repo().status(targets=[stage]))


def _reached() -> dict[str, Any]:
    """Return what the run reached; empty where its stages write no report."""
    return {name: read_json(METRICS)[name] for name in REACHED} if METRICS.exists() else {}


def _cost(stage: str) -> dict[str, float]:
    """Run one stage, and return seconds, and the processor time and largest memory of its processes.

    peak_mib: of the largest process, not of those that run side by side together.
    """
    load, began = os.getloadavg()[0], time.perf_counter()
    command = [sys.executable, "-c", MEASURED, "dvc", "repro", "--single-item", "--quiet", stage]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603  # our own stages
    code, cpu_seconds, peak = json.loads(done.stdout)
    if code:
        sys.exit(f"{stage} ended with exit code {code}")
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_mib": round(peak * KIB / 2**20, 1),
        "load": round(load, 1),
    }


def _total(stages: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the sums of times and the largest of memory and load."""
    times = {key: sum(cost[key] for cost in stages.values()) for key in ("seconds", "cpu_seconds")}
    return times | {key: max(cost[key] for cost in stages.values()) for key in ("peak_mib", "load")}


if __name__ == "__main__":
    main()
