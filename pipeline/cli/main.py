"""The whole `latent-outliers` command: everything that is not a stage."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import develop, share, start, study, use
from pipeline.runtime.code import has_other_code
from pipeline.runtime.command import run_app
from pipeline.runtime.text.terminal import say, warn

CODE = Path(__file__).parents[1]
app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (start, use, study, share, develop):  # the order of `--help`
    app.add_typer(group.commands)


@app.callback(invoke_without_command=True)
def of_all_commands(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print version and place of the code.")] = False,
) -> None:
    """Teach an image classifier what it does not know. `dvc repro` runs the stages; these commands do the rest."""
    from importlib.metadata import version as version_of

    if version:
        say(f"latent-outliers {version_of('latent-outliers')}, code in {CODE}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(*context.get_help().splitlines())


def main() -> None:
    """Run the command line."""
    warn_of_other_code()
    run_app(app)


def warn_of_other_code() -> None:
    """Say so where the project in this folder has other code, which its stages run; it is not run unasked."""
    if has_other_code(Path.cwd()):
        advice = "run `python -m pipeline` here in place of `latent-outliers` to use it"
        warn(f"warning: {Path.cwd()} has code of its own, and this is other code, in {CODE}; {advice}")
