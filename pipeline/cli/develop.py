"""The commands for whoever changes the code."""

import typer

from pipeline.runtime.text.terminal import say

PANEL = "Change the code"
"""What these commands are for: their group in `--help`."""
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL, epilog="Example: latent-outliers dependencies")
def dependencies() -> None:
    """Write the code dependencies of each stage into dvc.yaml, from its imports; needed after changes to the code."""
    from pipeline.commands.dependencies import PIPELINE, write_dependencies

    changed = write_dependencies()
    say(f"{PIPELINE}: {'code dependencies written' if changed else 'code dependencies are up to date'}")
