"""List the presets, and replace params.yaml by one of them without losing parameters that exist nowhere else."""

import subprocess
from difflib import unified_diff
from pathlib import Path

from rich.table import Table

from pipeline.commands.compose import load_preset, preset_text
from pipeline.runtime.errors import OverwriteError, ParamsError
from pipeline.runtime.files import write_bytes
from pipeline.runtime.text.terminal import Console
from pipeline.schema.spelling import nearest_name

FOLDER = "presets"
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def available(params: Path) -> dict[str, str]:
    """Return the presets next to a parameter file by name, each with its first line as a description."""
    folder = params.parent / FOLDER
    return {path.stem: _first_line(path) for path in sorted(folder.glob("*.yaml"))}


def print_presets(presets: dict[str, str], console: Console) -> None:
    """Print name and description of each preset."""
    table = Table.grid(padding=(0, 2))
    for name, description in presets.items():
        table.add_row(name, description)
    console.print(table)


def use_preset(name: str, params: Path, console: Console, *, force: bool) -> bool:
    """Print the difference between parameter file and preset, then write the preset; return False if they are equal.

    The preset is validated first. Raises ParamsError when there is no preset of that name, or when it is not valid.
    Raises OverwriteError when the parameter file is neither in git's last commit nor a preset, unless `force`.
    """
    names = [*available(params)]
    if name not in names:
        hint = nearest_name(name, names) if names else "there are none here: run from the project's root"
        raise ParamsError(params.parent / FOLDER, [f"{name!r} is not a preset; {hint}"])
    preset = params.parent / FOLDER / f"{name}.yaml"
    load_preset(preset)
    new, old = preset_text(preset).encode(), params.read_bytes() if params.exists() else b""
    if new == old:
        return False
    _print_diff(old, new, params, preset, console)
    if params.exists() and not force and not _can_be_restored(params, old):
        wanted, advice = "those in git's last commit or a preset", "Commit the file, or overwrite it with --force."
        raise OverwriteError(params, "parameters that are nowhere else", wanted, advice)
    write_bytes(params, new)
    return True


def _first_line(path: Path) -> str:
    """Return the first line of a parameter file, a comment, as text."""
    with path.open(encoding="utf-8") as stream:
        return stream.readline().lstrip("#").strip()


def _print_diff(old: bytes, new: bytes, params: Path, preset: Path, console: Console) -> None:
    """Print a unified diff, in colour on a terminal."""
    before, after = (content.decode(errors="replace").splitlines() for content in (old, new))
    for line in unified_diff(before, after, str(params), str(preset), n=1, lineterm=""):
        console.print(line, style=COLOURS.get(line[:1]), soft_wrap=True)


def _can_be_restored(params: Path, content: bytes) -> bool:
    """Return whether a parameter file is equal to that in git's last commit, or to a complete preset."""
    return _is_committed(params, content) or any(
        _is_text_of(preset, content) for preset in (params.parent / FOLDER).glob("*.yaml")
    )


def _is_committed(params: Path, content: bytes) -> bool:
    try:
        committed = subprocess.run(  # noqa: S603  # a list, and no shell
            ["git", "show", f"HEAD:./{params.name}"],  # noqa: S607  # whichever git the user runs
            cwd=params.parent,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return committed.returncode == 0 and committed.stdout == content


def _is_text_of(preset: Path, content: bytes) -> bool:
    """Return whether a parameter file is the complete text of a preset; False when the preset is not valid."""
    try:
        return preset_text(preset).encode() == content
    except ParamsError:
        return False
