"""Presets: complete parameter files to choose by name, and to copy over params.yaml without losing what is there."""

import subprocess
from difflib import unified_diff
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.config import nearest_name
from pipeline.errors import OverwriteError, ParamsError
from pipeline.files import write_bytes
from pipeline.schema import load_all

FOLDER = "presets"
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def available(params: Path) -> dict[str, str]:
    """Return the presets beside a parameter file by name, each with what its first line says of it."""
    folder = params.parent / FOLDER
    return {path.stem: _first_line(path) for path in sorted(folder.glob("*.yaml"))}


def print_presets(presets: dict[str, str], console: Console) -> None:
    """Print each preset under its name."""
    table = Table.grid(padding=(0, 2))
    for name, words in presets.items():
        table.add_row(name, words)
    console.print(table, highlight=False)


def use_preset(name: str, params: Path, console: Console, *, force: bool) -> bool:
    """Print how a preset differs from the parameter file, then put it in that file's place; False: they are the same.

    The preset is checked first. Raises ParamsError when there is none of that name, or when it is not valid, and
    OverwriteError when the parameter file holds what is neither in git's last commit nor a preset, unless `force`.
    """
    names = [*available(params)]
    if name not in names:
        hint = nearest_name(name, names) if names else "there are none here: run from the project's root"
        raise ParamsError(params.parent / FOLDER, [f"{name!r} is not a preset; {hint}"])
    preset = params.parent / FOLDER / f"{name}.yaml"
    load_all(preset)
    new, old = preset.read_bytes(), params.read_bytes() if params.exists() else b""
    if new == old:
        return False
    _print_diff(old, new, params, preset, console)
    if params.exists() and not force and not _is_kept(params, old):
        wanted, advice = "those in git's last commit or a preset", "Commit the file, or overwrite it with --force."
        raise OverwriteError(params, "parameters that are nowhere else", wanted, advice)
    write_bytes(params, new)
    return True


def _first_line(path: Path) -> str:
    """Return the first line of a parameter file, which is a comment, as text."""
    with path.open(encoding="utf-8") as stream:
        return stream.readline().lstrip("#").strip()


def _print_diff(old: bytes, new: bytes, params: Path, preset: Path, console: Console) -> None:
    """Print a unified diff, in colour on a terminal."""
    before, after = (content.decode(errors="replace").splitlines() for content in (old, new))
    for line in unified_diff(before, after, str(params), str(preset), n=1, lineterm=""):
        console.print(Text(line, COLOURS.get(line[0], "")), soft_wrap=True)


def _is_kept(params: Path, content: bytes) -> bool:
    """Return whether a parameter file is the same in git's last commit, or is a preset."""
    if any(path.read_bytes() == content for path in (params.parent / FOLDER).glob("*.yaml")):
        return True
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
