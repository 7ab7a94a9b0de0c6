"""How time and memory of every stage grow with the number of images and of outliers.

Run `python -m benchmarks.slopes`. At each size a project is made for it: so many training images in ten classes, as
JPEG files of 32 pixels, as many outliers of each method, one seed, one epoch. Every stage runs by its own command of
dvc.yaml, without DVC. Seconds are those that the stage logs of itself, without Python's imports; memory is the peak of
what is not a mapped file, over the stage's processes together. Tables may take MEMORY of it.

The slope of time is that of a line through log(seconds) over log(images): 1 is linear. All of it is written to
`benchmarks/results/slopes-cpu.json`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.bench import hardware
from pipeline.commands.compose import preset_text
from pipeline.runtime.files import write_json
from pipeline.runtime.outputs import STAGE
from pipeline.runtime.progress import progress
from pipeline.runtime.run_log import git_revision
from pipeline.schema.text import dump_yaml, plain_yaml

FORMAT = "latent-outliers-slopes/1"
RESULT = Path("benchmarks/results/slopes-cpu.json")
PROJECT = ("dvc.yaml", ".dvc/config", ".dvcignore")
CODE = ("pipeline", "stages")
SIZES = (2_000, 6_000, 18_000)
"""Training images; a tenth as many for validation, a tenth for testing, a tenth OOD."""
CLASSES, SIDE, OTHERS = 10, 32, "others"
METHODS = ("perturb", "mixup", "shuffle")
MEMORY = "16MiB"
LOOKS_PER_SECOND = 50
MIB = 2**20


def main() -> None:
    """Measure every stage at every size, print and write the slopes."""
    sizes: dict[int, dict[str, dict[str, float]]] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_project(folder, size)
            sizes[size] = {stage: cost(folder, stage, command) for stage, command in commands(folder).items()}
    stages = {stage: grown({size: found[stage] for size, found in sizes.items()}) for stage in sizes[SIZES[0]]}
    report = {"format": FORMAT, "hardware": hardware(), "commit": git_revision(), "budget": MEMORY, "stages": stages}
    write_json(RESULT, report)
    show(stages)


def make_project(folder: Path, size: int) -> None:
    """Write images and parameters, and link the code."""
    for name in PROJECT:
        source, target = Path(name).absolute(), folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    for name in CODE:
        (folder / name).symlink_to(Path(name).absolute())
    write_images(folder / "data/images/photos", size)
    (folder / "params.yaml").write_text(dump_yaml(params(size)))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)  # noqa: S607  # DVC wants a repository


def write_images(folder: Path, size: int) -> None:
    """Write pictures of noise around a colour of their class, and some of other things."""
    rng = np.random.default_rng(0)
    parts = {"train": size, "validation": size // 10, "test": size // 10}
    total = sum(parts.values()) + size // 10
    with progress(f"writing images of size {size:,}", total) as advance:
        for part, count in parts.items():
            for row in range(count):
                _write(folder / part / f"class-{row % CLASSES}" / f"{row:06}.jpg", 20 * (row % CLASSES), rng)
            advance(count)
        for row in range(size // 10):
            _write(folder.with_name(OTHERS) / f"{row:06}.jpg", 250, rng)
        advance(size // 10)


def _write(file: Path, level: int, rng: np.random.Generator) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    values = rng.integers(0, 60, (SIDE, SIDE, 3)) + level
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(file, quality=90)


def params(size: int) -> dict[str, Any]:
    """Return preset `imagefolder`, with one seed, one epoch of everything and as many outliers as images."""
    found: dict[str, Any] = plain_yaml(preset_text(Path("presets/imagefolder.yaml")))
    data = found["data"]
    photos = data["sources"]["photos"] | {"validation": None, "test": None}
    others = {"kind": "folder_images", "path": f"data/images/{OTHERS}", "images": None, "seed": 0}
    others |= {name: photos[name] for name in ("on_bad_image", "largest_pixels")}
    data |= {"image_size": SIDE, "sources": {"photos": photos, OTHERS: others}}
    data["sets"][OTHERS] = {"group": "far", "source": OTHERS, "part": "all"}
    found["seeds"] = [0]
    found["encoder"]["trained"]["epochs"] = found["denoiser"]["epochs"] = 1
    found["teacher"]["optimiser"]["epochs"] = found["train"]["optimiser"]["epochs"] = 1
    found["synthesize"]["methods"] = [*METHODS]
    for name in METHODS:
        found["synthesize"][name]["rows"] = size
    return found


def commands(folder: Path) -> dict[str, str]:
    """Return the command of every stage by its name, each after those it depends on."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        graph = repo.index.graph  # from a stage to what it depends on
        return {stage.name: stage.cmd for stage in reversed(list(nx.topological_sort(graph)))}


def cost(folder: Path, stage: str, command: str) -> dict[str, float]:
    """Run a stage; return the seconds it logs, and the most memory of its processes that no file holds, in MiB."""
    environment = os.environ | {"LATENT_OUTLIERS_MEMORY": MEMORY, STAGE: stage}
    log = folder / "logs/runs.jsonl"
    lines = len(log.read_text().splitlines()) if log.exists() else 0
    words = command.split()
    process = subprocess.Popen([sys.executable, *words[1:]], cwd=folder, env=environment)  # noqa: S603  # our own stages
    peak = 0
    while process.poll() is None:
        peak = max(peak, _private_bytes(process.pid))
        time.sleep(1 / LOOKS_PER_SECOND)
    if process.returncode:
        sys.exit(f"{command} ended with exit code {process.returncode}")
    logged = [json.loads(line) for line in log.read_text().splitlines()[lines:]]
    return {"seconds": round(sum(line["seconds"] for line in logged), 3), "peak_mib": round(peak / MIB, 1)}


def _private_bytes(pid: int) -> int:
    """Return what a process and those it started have in memory, less what is mapped from files."""
    total = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            memory = process.memory_info()
            total += memory.rss - memory.shared
    except psutil.NoSuchProcess:
        pass
    return total


def grown(sizes: dict[int, dict[str, float]]) -> dict[str, Any]:
    """Return what a stage cost at each size, and how that grows."""
    seconds, memory = ([found[key] for found in sizes.values()] for key in ("seconds", "peak_mib"))
    slope = np.polyfit(np.log([*sizes]), np.log(np.maximum(seconds, 1e-3)), 1)[0]
    return {
        "sizes": {str(size): found for size, found in sizes.items()},
        "slope_of_seconds": round(float(slope), 2),
        "memory_of_largest_vs_smallest": round(memory[-1] / memory[0], 2),
    }


def show(stages: dict[str, dict[str, Any]]) -> None:
    """Print a line per stage."""
    table = Table("stage", *(f"s at {size:,}" for size in SIZES), "slope", *(f"MiB at {size:,}" for size in SIZES))
    for stage, found in stages.items():
        costs = [*found["sizes"].values()]
        seconds, memory = ([f"{one[key]:.1f}" for one in costs] for key in ("seconds", "peak_mib"))
        table.add_row(stage, *seconds, f"{found['slope_of_seconds']:.2f}", *memory)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
