"""Run a function as a command. Its signature gives the arguments; expected errors end with one line and exit code 1."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipeline.runtime.errors import PipelineError
from pipeline.runtime.text.terminal import never_fail_to_print, warn

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


def run(command: Callable[..., Any]) -> None:
    """Run `command` with the arguments of this process, and end the process."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(app)


def run_app(app: Callable[[], Any]) -> None:
    """Call `app`. An error that the user can put right becomes one line on stderr and exit code 1."""
    never_fail_to_print()
    try:
        app()
    except PipelineError as error:
        _fail(str(error))
    except OSError as error:
        _fail(
            f"{error}. Nothing unfinished was published. Put it right (space, permissions) and run the command again."
        )


def _fail(message: str) -> NoReturn:
    warn(f"error: {message}")
    sys.exit(1)
