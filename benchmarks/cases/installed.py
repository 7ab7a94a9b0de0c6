"""What it takes to ask a detector: what is installed, how large it is, and how soon the first answer comes.

Run `python -m benchmarks.cases.installed BUNDLE IMAGE`. Each environment is made anew by pip, at the versions of
`constraints.txt`, ours with the extra `pretrained` too, so a registry has to be in reach. Written to
`benchmarks/results/exported/installed.json`.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bench import hardware
from pipeline.detector.as_onnx.export import export_onnx
from pipeline.detector.detector import Detector
from pipeline.runtime.files import folder_bytes, write_json
from pipeline.runtime.run_log import git_revision

RESULT = Path("benchmarks/results/exported/installed.json")
CONSTRAINTS = Path("constraints.txt").absolute()
ROUNDS = 3
NOT_OURS = {"pip", "setuptools"}
"""Packages that an empty environment has."""


def main(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    image: Annotated[Path, typer.Argument(help="A picture.")],
) -> None:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", folder, Path.cwd())
        (wheel,) = folder.glob("*.whl")
        export_onnx(Detector.load(bundle, device="cpu"), folder / "detector.onnx")
        (code,) = re.findall(r"```python\n(.*?)```", (folder / "detector.md").read_text(), re.DOTALL)
        (folder / "ask.py").write_text(code.replace("photo.png", str(image.absolute())))
        predict = ("bin/latent-outliers", "predict", bundle.absolute(), image.absolute())
        found = {
            "the extra pipeline": _measured(folder / "whole", [f"{wheel}[pipeline,pretrained]"], predict),
            "the wheel": _measured(folder / "light", [f"{wheel}[pretrained]"], predict),
            "onnxruntime, NumPy and Pillow": _measured(
                folder / "onnx", ["onnxruntime", "numpy", "pillow"], ("bin/python", folder / "ask.py")
            ),
        }
    write_json(RESULT, {"hardware": hardware(), "commit": git_revision(), "found": found})
    table = Table("installed", "MiB", "packages", "seconds to the first answer")
    for what, entry in found.items():
        table.add_row(what, f"{entry['bytes'] / 2**20:,.0f}", f"{entry['packages']:.0f}", f"{entry['seconds']:.1f}")
    Console(width=110).print(table)


def _measured(folder: Path, packages: list[Path | str], command: tuple[str | Path, ...]) -> dict[str, float]:
    """Install packages into a new environment, and return its size and the shortest time of a command in it."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)  # noqa: S603
    _pip(folder / "bin/python", "install", "--constraint", CONSTRAINTS, *packages)
    (site,) = folder.glob("lib/python3*/site-packages")
    names = {path.name.split("-")[0] for path in site.glob("*.dist-info")} - NOT_OURS
    others = sum(folder_bytes(path) for name in NOT_OURS for path in site.glob(f"{name}*") if path.is_dir())
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        program, *arguments = command
        subprocess.run(  # noqa: S603
            [folder / program, *arguments], cwd=folder.parent, check=True, capture_output=True
        )
        seconds.append(time.perf_counter() - began)
    return {"bytes": folder_bytes(site) - others, "packages": len(names), "seconds": min(seconds)}


def _pip(python: Path, *arguments: str | Path) -> None:
    command = [python, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    typer.run(main)
