"""Run `python -m benchmarks.photographs`: our detectors beside what people would take, on folders of photographs.

The folder of `--datasets` has the Parquet files that `folders.py` names. That of `--backbone` is written by
`python -m benchmarks.weights.efficientnet_lite0`. Each folder of photographs, contestant and seed is a part in
`benchmarks/results/photographs/`; a part that follows from the same images and settings is not computed again. The page
`docs/benchmarks/photographs.md` is written from the parts. Ours is run by a new project of the last commit, under
`.work/photographs/`. With `--table` nothing is run, and a short table is printed. With `--development` other classes
are held out, for choosing settings; a table is printed, and nothing is written into the repository.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.leaderboard.names import known
from benchmarks.photographs.comparison import compared
from benchmarks.photographs.contestants import RUNS, run
from benchmarks.photographs.folders import DEVELOPMENT, FINAL, write_images
from benchmarks.photographs.page import COMPARISON, main_table, page, results_of
from benchmarks.photographs.parts import Parts
from pipeline.runtime.command import run as run_command
from pipeline.runtime.files import write_bytes, write_json
from pipeline.runtime.text.terminal import say

PAGE = Path("docs/benchmarks/photographs.md")
Datasets = Annotated[
    Path, typer.Option(envvar="LATENT_OUTLIERS_DATASETS", help="Folder of the Parquet files of images.")
]
Backbone = Annotated[Path | None, typer.Option(envvar="LATENT_OUTLIERS_BACKBONE", help="Folder of EfficientNet-Lite0.")]


def main(  # noqa: PLR0913  # one argument per option
    folder: Annotated[list[str] | None, typer.Option(help="One of several; without it all.")] = None,
    contestant: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(RUNS)}; without it all.")] = None,
    datasets: Datasets = Path("data/photographs"),
    backbone: Backbone = None,
    *,
    again: Annotated[bool, typer.Option("--again", help="Compute parts that are there and valid too.")] = False,
    development: Annotated[bool, typer.Option("--development", help="To choose settings: writes no page.")] = False,
    as_table: Annotated[bool, typer.Option("--table", help="Print a short table of what is there.")] = False,
) -> None:
    """Compare our detectors with what people would take instead, on folders of photographs."""
    every = DEVELOPMENT if development else FINAL
    if not as_table:
        names = known(contestant, RUNS, "contestant")
        chosen = known(folder, [one.name for one in every], "folder")
        for photographs in (one for one in every if one.name in chosen):
            write_images(photographs, datasets)
            for name in names:  # one by one, so that what an interrupted run has computed is compared
                run(name, photographs, backbone, again=again)
                write_json(Parts.of(photographs).folder / COMPARISON, compared(Parts.of(photographs)))
    results = results_of(every)
    say(*main_table(results, every).splitlines())
    if results and not (as_table or development):
        write_bytes(PAGE, page(results).encode())
        say(f"written: {PAGE}")


if __name__ == "__main__":
    run_command(main)
