"""Run a function as a command: arguments from its signature, one line and exit code 1 when the user can help."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipeline.errors import PipelineError

ParamsFile = Annotated[Path, typer.Option("--params", help="Parameter file.", show_default=True)]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        envvar="LATENT_OUTLIERS_WORKERS",
        help="Units computed side by side; by default one per core, or one on a GPU.",
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
    """Run `command` with the arguments of the process, and end the process."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    guard(app)


def guard(app: Callable[[], Any]) -> None:
    """Call `app`; what the user can put right becomes one line on stderr and exit code 1."""
    try:
        app()
    except PipelineError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error}. Nothing unfinished was published: put it right (space, permissions) and run the same again.")


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  # this is the command line
    sys.exit(1)
