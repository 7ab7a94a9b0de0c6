"""Whether two ranks that share every batch of a detector's training reach the loss that one process reaches.

Run `dvc repro` first, then `python -m benchmarks.cluster.ranks`; it takes about five minutes. The detectors of the
first seeds are trained again with the parameters of the run, in one process each and by two ranks of a Ray cluster on
this machine, from the same weights and with the same batches. Rounding differs from the first step, so that two
trainings of one seed end as far apart as chance takes them; the spread over seeds says how far that may be.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bench import hardware
from benchmarks.cluster.local import local_cluster
from pipeline.runtime.command import PARAMS_FILE, run
from pipeline.runtime.files import read_json, write_json
from pipeline.runtime.run_log import git_revision
from pipeline.schema.reader import read_yaml
from pipeline.schema.text import dump_yaml
from pipeline.training.curve import loss_names

FORMAT = "latent-outliers-ranks/1"
RESULT = Path("benchmarks/results/ranks-cpu.json")
INPUTS = (
    "data/latents/id_train", "data/views", "data/latents/id_validation", "data/outliers", "models/teacher",
    "models/pretrained_teacher",
)  # fmt: skip


def main(
    seeds: Annotated[int, typer.Option(min=2, help="How many of the run's seeds.")] = 3,
    result: Annotated[Path, typer.Option(help="The file to write.")] = RESULT,
) -> None:
    """Train, compare, print and write."""
    with tempfile.TemporaryDirectory(dir=".") as name, local_cluster(2) as cluster:
        folder = Path(name)
        params = read_yaml(PARAMS_FILE)
        params["seeds"] = params["seeds"][:seeds]
        (folder / "params.yaml").write_text(dump_yaml(params))
        cases = {
            "one process": trained(folder, params["seeds"], ("--workers", "1"), {}),
            "two ranks": trained(folder, params["seeds"], ("--ranks", "2"), cluster.environment),
        }
    write_json(result, {"format": FORMAT, "hardware": hardware(), "commit": git_revision(), "cases": cases})
    show(cases, result)


def trained(folder: Path, seeds: list[int], options: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run the stage; return its seconds, and by seed the loss of the first and of the last epoch."""
    output = folder / "detector"
    shutil.rmtree(output, ignore_errors=True)
    arguments = [*INPUTS, str(output), str(folder / "curves"), "--params", str(folder / "params.yaml"), *options]
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "stages.train", *arguments], env=os.environ | environment, check=True)  # noqa: S603  # a stage
    seconds = time.perf_counter() - began
    ends = {seed: read_json(output / str(seed) / "history.json") for seed in seeds}
    losses = {
        name: [sum(history[epoch][loss] for loss in loss_names(history[epoch])) for history in ends.values()]
        for name, epoch in (("first", 0), ("last", -1))
    }
    return {"seconds": round(seconds, 1), "seeds": seeds, **losses}


def show(cases: dict[str, dict[str, Any]], result: Path) -> None:
    """Print losses seed by seed, with mean and standard deviation."""
    table = Table(title=f"sum of losses; written to {result}")
    for name in ("trained by", "epoch", "by seed", "mean ± std", "seconds"):
        table.add_column(name)
    for name, case in cases.items():
        for epoch in ("first", "last"):
            losses = case[epoch]
            spread = f"{statistics.mean(losses):.4f} ± {statistics.stdev(losses):.4f}"
            table.add_row(name, epoch, ", ".join(f"{loss:.4f}" for loss in losses), spread, f"{case['seconds']:.0f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    run(main)
