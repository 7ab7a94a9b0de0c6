"""What a Ray cluster of this machine makes of synthesis and of training: the same bytes, and how fast.

Run `python -m benchmarks.cluster`; it takes a quarter of an hour. Stages run as commands, start-up included, first
without a cluster, then on a head with 1, 2 and 4 worker processes; the next round begins when all have had their turn.
"start" is the same command with the least work there is: imports, connecting, a worker process that reads its inputs.
All workers share this machine's cores, so that 4 of them on 2 cores show what sharing costs and not what machines add.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bench import hardware
from benchmarks.cases.store import id_latents
from benchmarks.cluster.local import ROOT, local_cluster
from pipeline.runtime.command import run
from pipeline.runtime.files import folder_digest, write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.run_log import git_revision
from pipeline.schema.text import dump_yaml, plain_yaml

FORMAT = "latent-outliers-cluster/1"
RESULT = Path("benchmarks/results/cluster-cpu.json")
ID_ROWS, CLASSES = 5_000, 10
ROWS = 8 * 8192
"""Eight full shards of the latents of 256-pixel images."""
SEEDS, EPOCHS = 4, 2
WORKERS = (1, 2, 4)


class Work(NamedTuple):
    """A stage to measure: its arguments up to the output and after it, and how many rows all of it passes through."""

    stage: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    rows: int
    """Made, or, in training, learnt from: once per seed and epoch."""
    least: dict[str, Any]
    """The parameters of the least work."""


class Place(NamedTuple):
    """Where units run."""

    name: str
    workers: int
    options: tuple[str, ...]
    environment: dict[str, str]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Each figure is the median of so many.")] = 3,
    result: Annotated[Path, typer.Option(help="The file to write.")] = RESULT,
) -> None:
    """Measure, compare bytes, print and write."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).absolute()
        works = prepare(folder)
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        with progress("measuring, runs", rounds * len(works) * (1 + len(WORKERS))) as advance:
            for _ in range(rounds):
                for place in places():
                    with place as where:
                        for work in works:
                            found.setdefault((work.stage, where.name), []).append(measured(folder, work, where))
                            advance(1)
    cases = [summary(stage, runs) for (stage, _), runs in found.items()]
    report = {"format": FORMAT, "hardware": hardware(), "commit": git_revision(), "rounds": rounds, "cases": cases}
    write_json(result, report)
    show(cases, result)


def prepare(folder: Path) -> tuple[Work, ...]:
    """Write latents and what the stages read beside them; return the stages."""
    latents = id_latents(folder / "id", ID_ROWS, CLASSES)
    write_json(folder / "denoiser/none.json", {"needed": False})
    learnt = len(latents.values) * EPOCHS * SEEDS
    return (
        Work("synthesize", ("perturb", "id", "denoiser"), (), ROWS, {"rows": 256}),
        Work("teacher", ("id",), ("curves",), learnt, {"seeds": 1}),
    )


def places() -> Iterator[AbstractContextManager[Place]]:
    """Yield a context for each place: no cluster first."""
    yield plain()
    for workers in WORKERS:
        yield on_ray(workers)


@contextmanager
def plain() -> Iterator[Place]:
    """Run units as the stages do by themselves, one per core."""
    cores = len(os.sched_getaffinity(0))
    yield Place("no cluster", cores, ("--workers", str(cores)), {})


@contextmanager
def on_ray(workers: int) -> Iterator[Place]:
    """Run them in so many worker processes."""
    with local_cluster(workers) as cluster:
        yield Place(f"Ray, {workers}", workers, (), dict(cluster.environment))


def measured(folder: Path, work: Work, place: Place) -> dict[str, Any]:
    """Return the seconds of the work and of the least work, and the digest of what came out."""
    write_params(folder)
    seconds, digest = timed(folder, work, place)
    write_params(folder, **work.least)
    start, _ = timed(folder, work, place)
    return {"place": place.name, "workers": place.workers, "seconds": seconds, "start": start, "sha256": digest} | {
        "rows_per_second": work.rows / seconds
    }


def timed(folder: Path, work: Work, place: Place) -> tuple[float, str]:
    """Run a stage as a command; return its seconds, and the digest of its output."""
    for name in ("out", "curves"):
        shutil.rmtree(folder / name, ignore_errors=True)
    command = [sys.executable, "-m", f"stages.{work.stage}", *work.before, "out", *work.after, *place.options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LATENT_OUTLIERS_DEVICE": "cpu"} | place.environment
    os.sync()
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # a stage
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(done.stderr)
    return seconds, folder_digest(folder / "out")


def write_params(folder: Path, rows: int = ROWS, seeds: int = SEEDS) -> None:
    """Write the default parameters with so much work, of a kind that two cores do in half a minute."""
    params = plain_yaml((ROOT / "params.yaml").read_text())
    params["seeds"] = list(range(seeds))
    params["synthesize"]["perturb"]["rows"] = rows
    params["synthesize"]["perturb"]["candidates"] = 1
    params["teacher"]["network"] = {"width": 8, "blocks": [1], "latent_mean": False}
    params["teacher"]["optimiser"]["epochs"] = EPOCHS
    (folder / "params.yaml").write_text(dump_yaml(params))


def summary(stage: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians over rounds; raises RuntimeError where two rounds left different bytes."""
    first = runs[0]
    if len({run["sha256"] for run in runs}) > 1:
        raise RuntimeError(f"{stage}, {first['place']}: not the same bytes in every round")
    medians = {name: statistics.median(run[name] for run in runs) for name in ("seconds", "start", "rows_per_second")}
    rounded = {name: round(value, 2) for name, value in medians.items()}
    per_worker = round(medians["rows_per_second"] / first["workers"], 2)
    return {
        "stage": stage, "place": first["place"], "workers": first["workers"], **rounded,
        "rows_per_second_per_worker": per_worker, "sha256": first["sha256"],
    }  # fmt: skip


def show(cases: list[dict[str, Any]], result: Path) -> None:
    """Print one line per stage and place."""
    table = Table(title=f"written to {result}")
    for name in ("stage", "units run", "seconds", "start", "rows/s", "per worker", "bytes"):
        table.add_column(name)
    wanted = {case["stage"]: case["sha256"] for case in reversed(cases)}  # the first of each stage: no cluster
    for case in cases:
        same = "the same" if case["sha256"] == wanted[case["stage"]] else "[red]others[/red]"
        figures = ("seconds", "start", "rows_per_second", "rows_per_second_per_worker")
        table.add_row(case["stage"], case["place"], *(f"{case[name]:,.1f}" for name in figures), same)
    Console(width=110).print(table)


if __name__ == "__main__":
    run(main)
