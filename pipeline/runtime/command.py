"""Run a function as a command. Its signature gives the arguments; expected errors end with one line and exit code 1."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipeline.runtime.errors import PipelineError

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
STAGE = "DVC_STAGE"
"""The environment variable in which DVC says which stage it runs, such as `encode@held_out`."""


def run(command: Callable[..., Any]) -> None:
    """Run `command` with the arguments of this process, and end the process."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(lambda: app(with_name(sys.argv[1:])))


def with_name(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `@name` replaced by what follows the @ in the name of the stage that DVC runs."""
    _, at, name = os.environ.get(STAGE, "").rpartition("@")
    return [argument.replace(NAME, name) if at else argument for argument in arguments]


def run_app(app: Callable[[], Any]) -> None:
    """Call `app`. An error that the user can put right becomes one line on stderr and exit code 1."""
    try:
        app()
    except PipelineError as error:
        _fail(str(error))
    except OSError as error:
        _fail(
            f"{error}. Nothing unfinished was published. Put it right (space, permissions) and run the command again."
        )


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  # this is the command line
    sys.exit(1)
