"""Run a function as a command. Its signature gives the arguments; expected errors end with one line and exit code 1."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from traceback import walk_tb
from typing import Annotated, Any, NoReturn

import typer
import yaml

from pipeline.runtime.errors import MissingExtraError, OutOfMemoryError, PipelineError, reason
from pipeline.runtime.outputs import STAGE
from pipeline.runtime.shortage import as_size, machine_memory, needed_memory, system_error
from pipeline.runtime.text.terminal import never_fail_to_print, say, warn

OF_PIPELINE = "dvc"
"""A package of the extra `pipeline`, without which only finished detectors can be used."""
ParamsPath = Annotated[Path, typer.Option("--params", help="Parameter file.", show_default=True)]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        envvar="LATENT_OUTLIERS_WORKERS",
        help="Units computed in parallel; by default one per core, or one on a GPU.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option("--ray", envvar="RAY_ADDRESS", metavar="ADDRESS", help="Compute units on this Ray cluster instead."),
]

Ranks = Annotated[
    int,
    typer.Option(
        min=1,
        envvar="LATENT_OUTLIERS_RANKS",
        help="Processes of the cluster that share the training of one seed; more than one may change last bits.",
    ),
]

PARAMS_FILE = Path("params.yaml")
NAME = "@name"
"""Stands in the commands of dvc.yaml for the name of a set or method, which no shell may read."""
LESS_MEMORY = {
    "encoder": "the batch_size or the widths of encoder.trained or encoder.supervised, or data.image_size",
    "views": "encode.batch_size or data.image_size",
    "encode": "encode.batch_size or data.image_size",
    "guard": "the numbers of images in data.sources, or data.image_size",
    "probe": "encode.batch_size or data.image_size",
    "teacher": "teacher.optimiser.batch_size, teacher.network.width or --workers",
    "pretrained_teacher": "pretrained_teacher.batch_size",
    "denoiser": "denoiser.batch_size or denoiser.channels",
    "synthesize": "--batch-rows, --workers, or in the method's section what counts candidates, neighbours or steps",
    "quality": "quality.rows",
    "train": "train.optimiser.batch_size, train.outlier_batch_size, teacher.network.width or --workers",
    "infer": "infer.combined.images_per_class, teacher.network.width or the numbers of images in data.sources",
    "rival": "rival.cnn.batch_size or the numbers of images in data.sources",
    "score": "score.bootstrap.replicates, score.pictures_per_method or score.hardest_pictures",
    "bundle": "infer.combined.images_per_class, teacher.network.width or the numbers of images in data.sources",
}
"""What to lower where the memory of a stage does not suffice."""
SPIN = {"GOMP_SPINCOUNT": "30000"}
"""How often a thread of PyTorch looks for work before it sleeps. By default it is ten times as often, and on a busy
machine the thread that has the work waits for those that look (docs/performance.md). It is read when PyTorch is loaded.
"""
SPIN_CHOSEN_BY = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""Variables by which a user chooses it."""


def run(command: Callable[..., Any]) -> None:
    """Run `command` with the arguments of this process, and end the process."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    say(*stage_lines(Path("dvc.yaml")))
    run_app(lambda: app(with_name(sys.argv[1:])), command.__name__)


def stage_lines(pipeline: Path) -> list[str]:
    """Return in a line how far a run of DVC is: which of how many stages this is, in the order of `dvc.yaml`.

    No line where DVC does not run this process, or runs another project's stage.
    """
    name = os.environ.get(STAGE, "")
    if not name or not pipeline.is_file():
        return []
    stages = [*yaml.safe_load(pipeline.read_bytes())["stages"]]
    stage = name.partition("@")[0]
    return [f"stage {stages.index(stage) + 1} of {len(stages)}: {name}"] if stage in stages else []


def with_name(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `@name` replaced by what follows the @ in the name of the stage that DVC runs."""
    _, at, name = os.environ.get(STAGE, "").rpartition("@")
    return [argument.replace(NAME, name) if at else argument for argument in arguments]


def run_app(app: Callable[[], Any], stage: str | None = None) -> None:
    """Call `app`. An error that the user can put right becomes one line on stderr and exit code 1.

    stage: what `app` is, where it is a stage.
    """
    never_fail_to_print()
    if not any(name in os.environ for name in SPIN_CHOSEN_BY):
        os.environ.update(SPIN)
    try:
        app()
    except PipelineError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if find_spec(OF_PIPELINE) is not None:
            raise
        _fail(str(MissingExtraError(str(error.name), "pipeline", "this command", reason(error))))
    except Exception as error:  # libraries raise errors of many classes where memory or the disk does not suffice
        if (message := _shortage(error, stage)) is None:
            raise
        _fail(message)


def _shortage(error: Exception, stage: str | None) -> str | None:
    """Return one line about memory or a disk that did not suffice; None for an error of another kind."""
    if (memory := needed_memory(error)) is not None:
        subject = "this command" if stage is None else f"stage {stage}"
        lower = "the number of images or rows" if stage is None else LESS_MEMORY[stage]
        advice = f"Lower {lower}; or free memory, also of the GPU (LATENT_OUTLIERS_DEVICE=cpu). Finished work is kept."
        return str(OutOfMemoryError(subject, f"{memory} ({_place(error)})", as_size(machine_memory()), advice))
    if (of_system := system_error(error)) is not None:
        advice = "Put it right (space, permissions) and run the command again."
        return f"{of_system}. Nothing unfinished was published. {advice}"
    return None


def _place(error: Exception) -> str:
    """Return the innermost function of this project that an error passed."""
    frames = [(frame.f_globals.get("__name__", ""), frame.f_code.co_name) for frame, _ in walk_tb(error.__traceback__)]
    passed = [f"{module}.{function}" for module, function in frames if module.split(".")[0] in ("pipeline", "stages")]
    return f"in {passed[-1]}" if passed else "in a library"


def _fail(message: str) -> NoReturn:
    warn(f"error: {message}")
    sys.exit(1)
