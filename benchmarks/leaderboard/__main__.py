"""Run `python -m benchmarks.leaderboard` in a clean checkout: compare all methods on all benchmarks, write a page.

The page is `docs/benchmarks/results.md`. With `--rows` our default is compared with other numbers of outliers, a
section of it. Each task is a project under `.work/leaderboard/`, a clone of this one at the same commit, run by DVC;
trainings and scores lie there too, so that an interrupted run goes on where it stopped. The Parquet files of CIFAR-10,
Fashion-MNIST, MNIST and Tiny ImageNet lie where the presets say, under `data/`. With `--methods` only these are
compared, and the page is written only with `--publish`. With `--development` other classes are held out, the far set is
drawn by a program, a table is printed, and nothing is written into `docs/`.
"""

from os.path import normpath
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.leaderboard.default import Default
from benchmarks.leaderboard.lines import Json, Line, cells, compared, controls, heading
from benchmarks.leaderboard.methods import CANDIDATES, METHODS, by_size, chosen
from benchmarks.leaderboard.names import known
from benchmarks.leaderboard.page import PICTURE, page, sized
from benchmarks.leaderboard.picture import draw
from benchmarks.leaderboard.project import require_clean
from benchmarks.leaderboard.run import run_benchmark
from benchmarks.leaderboard.tasks import PRESETS, WORK
from pipeline.runtime.command import Workers, run
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import read_json, write_bytes, write_json
from pipeline.runtime.launch import Launch

RESULTS, PAGE = Path("benchmarks/results"), Path("docs/benchmarks/results.md")
COMPARED, SIZED = "leaderboard", "rows"
"""What the files of reports begin with."""
SEEDS, FEWER_SEEDS = 5, {"cifar10_layer3": 3, "cifar10_layer2": 3}
"""Networks of each method; fewer where a training takes long."""


def main(
    benchmark: Annotated[list[str] | None, typer.Option(help="One of several; without it all.")] = None,
    methods: Annotated[list[str] | None, typer.Option(help="One of several; without it all, and a page.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help=f"Networks of each method; {SEEDS}, or fewer.")] = None,
    workers: Workers = None,
    *,
    development: Annotated[bool, typer.Option("--development", help="To choose settings: writes no page.")] = False,
    publish: Annotated[bool, typer.Option("--publish", help="Write the page, with some methods only too.")] = False,
    rows: Annotated[bool, typer.Option("--rows", help="Our default with other numbers of outliers.")] = False,
) -> None:
    """Compare our default with other methods, null controls and real outliers."""
    if rows and methods:
        raise PipelineError("--rows compares our default with itself; take --methods in another run.")
    if publish and development:
        raise PipelineError("--publish is for results; what --development finds is for choosing settings.")
    names = known(benchmark, [*PRESETS], "benchmark")
    every = [*METHODS, *(CANDIDATES if development and methods else ())]
    entrants = by_size() if rows else chosen(known(methods, every, "method"))
    require_clean()
    for name in names:
        networks = seeds or FEWER_SEEDS.get(name, SEEDS)
        report = run_benchmark(name, entrants, networks, Launch(workers), development=development)
        show(report)
        if development or (methods and not publish):
            write_json(WORK / f"{'development' if development else 'part'}-{name}.json", report)
        else:
            write_json(RESULTS / f"{SIZED if rows else COMPARED}-{name}.json", report)
            write_page(RESULTS)


def write_page(results: Path) -> None:
    """Write the page, and its picture where it has one, from the reports that are there."""
    reports, by_rows = (
        [read_json(path) for name in PRESETS if (path := results / f"{kind}-{name}.json").is_file()]
        for kind in (COMPARED, SIZED)
    )
    if by_rows:
        draw(by_rows, Path(normpath(PAGE.parent / PICTURE)))
    today = {name: Default.of_today(name) for name in PRESETS}
    write_bytes(PAGE, page(reports, by_rows, today).encode())


def show(report: Json) -> None:
    """Print what every method of a benchmark reaches, without FPR95, which would not fit."""
    lines = compared(report)
    lines += [line for line in controls(report) if line not in lines]
    lines += [Line(name, report["headline"]) for name in sized(report)]
    names = heading(report)
    kept = [place for place, name in enumerate(names) if "FPR95" not in name]
    table = Table(*(names[place] for place in kept), title=f"{report['benchmark']}, in percent")
    for line in lines:
        found = cells(report, line)
        table.add_row(*(found[place] for place in kept))
    Console(width=200).print(table)


if __name__ == "__main__":
    run(main)
