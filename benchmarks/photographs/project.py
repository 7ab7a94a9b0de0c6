"""A project made of a folder of photographs as a user makes it, and the images of its split."""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.photographs.folders import Photographs
from pipeline.commands.new_project import LINKS
from pipeline.images.image_set import ImageSet, content_hash
from pipeline.images.sources.folder import FolderImagesSource
from pipeline.params.all_params import AllParams
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import digest, json_bytes
from pipeline.schema.reader import parse_yaml, validate

Encoder = Literal["supervised", "backbone"]
SEEDS = (0, 1, 2, 3, 4)
"""Of every contestant that is trained from random weights."""
READ = ("pipeline", "stages", "presets", "dvc.yaml", "params.yaml", "pyproject.toml")
"""What a new project takes from the last commit."""


@dataclass(frozen=True)
class Split:
    """The images of a project, and what judges them."""

    sets: Mapping[str, ImageSet]
    """id_train, id_validation, id_test, near, far, and the foreign images, which are no set of the project."""
    params: AllParams

    def contents(self) -> dict[str, NDArray[np.int64]]:
        """Return the content hash of every image, by set."""
        return {
            name: np.array([content_hash(images.read(row)) for row in range(len(images))])
            for name, images in self.sets.items()
        }


@contextmanager
def costs() -> Iterator[dict[str, float]]:
    """Yield a dictionary that has the seconds, processor seconds and load of the block when it has ended."""
    found = {"load": round(os.getloadavg()[0], 1)}
    began, used = time.perf_counter(), _processor_seconds()
    yield found
    found |= {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(_processor_seconds() - used, 1),
    }


def require_committed() -> None:
    """Raise PipelineError where a file that a new project is made of differs from the last commit."""
    if changed := call(Path(), "git", "status", "--porcelain", "--untracked-files=no", "--", *READ):
        advice = "commit it, since a new project has the last commit"
        raise PipelineError(f"found a change that is not committed, {changed.split()[1]}; {advice}.")


def make_project(folder: Path, photographs: Photographs, encoder: Encoder, backbone: Path | None) -> None:
    """Make a project of a folder of photographs by the command that a user calls, of SEEDS; delete an older one."""
    shutil.rmtree(folder, ignore_errors=True)
    images = {kind: str((photographs.images / kind).absolute()) for kind in ("id", "near", "far")}
    options = ["--images", images["id"], "--near", images["near"], "--far", images["far"]]
    options += ["--encoder", "supervised" if encoder == "supervised" else str(required(backbone).absolute())]
    call(Path(), sys.executable, "-m", "pipeline", "new-project", str(folder), *options)
    params = folder / PARAMS_FILE
    content, found = re.subn(
        r"^seeds: .*$", f"seeds: {list(SEEDS)}", params.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert found == 1
    params.write_text(content, encoding="utf-8")


def required(backbone: Path | None) -> Path:
    """Return the folder of the backbone; raises PipelineError where there is none."""
    if backbone is None or not (backbone / "config.json").is_file():
        advice = "make one by `python -m benchmarks.weights.efficientnet_lite0 FOLDER`, and name it by --backbone"
        raise PipelineError(f"{backbone}: found no vision model, wanted one in the layout of transformers; {advice}.")
    return backbone


def read_split(project: Path, photographs: Photographs) -> Split:
    """Return the images of a project, read as its stages read them, and the foreign ones."""
    content = parse_yaml(PARAMS_FILE.name, (project / PARAMS_FILE).read_bytes())
    for source in content["data"]["sources"].values():
        source["path"] = str((project / LINKS / Path(source["path"]).name).absolute())
    params = validate(project / PARAMS_FILE, AllParams, content)
    template = params.data.sources["near"].model_dump()
    foreign = FolderImagesSource.model_validate(template | {"path": str((photographs.images / "foreign").absolute())})
    sets = {name: params.data.open(name) for name in ("id_train", "id_validation", "id_test", "near", "far")}
    return Split(sets | {"foreign": foreign.open("all")}, params)


def images_digest(contents: Mapping[str, NDArray[np.int64]]) -> str:
    """Return a digest of which image is where in which set."""
    return digest(json_bytes({name: images.tolist() for name, images in contents.items()}))


def call(folder: Path, *arguments: str) -> str:
    """Run a command in a folder and return what it prints; raises PipelineError with its last line if it fails."""
    done = subprocess.run(  # noqa: S603  # our own
        arguments, cwd=folder, env=environment(), check=False, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise PipelineError(f"{folder}: `{' '.join(arguments[:4])} ...` failed: {' '.join(last)}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of a process that finds the programs of this Python, and prints lines as they come."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"}


def _processor_seconds() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def as_ints(values: Any) -> str:
    """Return whole numbers as one line of text."""
    return " ".join(map(str, np.asarray(values).tolist()))
