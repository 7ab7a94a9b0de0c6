"""The commands that start a run."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.runtime.command import PARAMS_FILE, ParamsPath
from pipeline.runtime.text.terminal import Console, say

PANEL = "Start a run"
"""What these commands are for: their group in `--help`."""

ENCODER_CHOICES = (
    "What turns images into latents. `supervised` or `trained`: a small classifier or autoencoder, trained on the "
    "photographs. A folder, or an id on the hub (perhaps id@revision): a pretrained vision backbone of transformers. "
    "By default facebook/dinov2-small where the extra `pretrained` is installed and the hub or its cache has it, else "
    "`supervised`."
)
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL, epilog="Example: latent-outliers check")
def check(params: ParamsPath = PARAMS_FILE) -> None:
    """Check the whole parameter file, and whether there are enough images, memory and disk, before any stage runs."""
    from pipeline.commands.check import check as check_params

    all_params, elsewhere = check_params(params)
    stores, sets = ", ".join(all_params.synthesize.names), ", ".join(all_params.data.ood_sets())
    say(f"{params}: good; {len(all_params.seeds)} seeds, outliers {stores}, OOD sets {sets or 'none'}")
    if elsewhere:
        say(f"not on this machine, so their images were not counted: {', '.join(elsewhere)}")


@commands.command(rich_help_panel=PANEL, epilog="Example: latent-outliers preset fashion_mnist")
def preset(
    name: Annotated[str | None, typer.Argument(help="Preset to use; without a name all are listed.")] = None,
    params: ParamsPath = PARAMS_FILE,
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite parameters that are not committed.")] = False,
) -> None:
    """List the presets, or copy one over the parameter file and show what changes."""
    from pipeline.commands.presets import available, print_presets, use_preset

    if name is None:
        print_presets(available(params), Console())
    elif use_preset(name, params, Console(), force=force):
        say(f"{params}: now preset {name}; `make repro` runs it")
    else:
        say(f"{params}: is preset {name} already")


@commands.command(
    rich_help_panel=PANEL,
    epilog="Example: latent-outliers new-project ../owls --images ../photos --near ../other-birds",
)
def new_project(
    target: Annotated[Path, typer.Argument(help="Folder to make.")],
    images: Annotated[Path, typer.Option(help="Photographs, in one folder per class; perhaps in train/ and test/.")],
    near: Annotated[list[Path] | None, typer.Option(help="Folder of images that could be taken for a class.")] = None,
    far: Annotated[list[Path] | None, typer.Option(help="Folder of images of entirely different things.")] = None,
    encoder: Annotated[str | None, typer.Option(help=ENCODER_CHOICES)] = None,
    *,
    leave_out_small: Annotated[
        bool, typer.Option("--leave-out-small", help="Hold out classes with too few images to train and test on.")
    ] = False,
) -> None:
    """Make a project for a folder of photographs, with parameters that fit the images."""
    from pipeline.commands.new_project import new_project as make_project
    from pipeline.commands.photo_folders import ImageFolders

    folders = ImageFolders(images, near or (), far or ())
    make_project(target, folders, Console(), encoder=encoder, leave_out_small=leave_out_small)
