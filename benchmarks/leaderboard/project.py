"""Make a task a project that has run up to what trainings read: a clone of this repository, with DVC's cache shared."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.leaderboard.tables import write
from benchmarks.leaderboard.tasks import CACHE, EXPOSURE, IMAGES, Task, default_methods, parameters
from pipeline.latents.latents import store_contents
from pipeline.params.all_params import AllParams, load_all
from pipeline.params.probe import PROBES
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import whole_or_absent
from pipeline.runtime.run_log import git_revision
from pipeline.store.reader import Store

WRITTEN = (":!benchmarks/results", ":!docs/benchmarks/results.md", ":!docs/images")
STAGES = ("encode", "guard", "probe", "teacher", "pretrained_teacher", "synthesize")


@dataclass(frozen=True)
class Project:
    """A task whose images are encoded, whose teachers are trained and whose outliers are synthesized."""

    task: Task
    params: AllParams
    methods: tuple[str, ...]
    """Synthesis methods that our default is trained on; `params.synthesize.methods` may have more."""
    sets: Mapping[str, Path]
    """Stores of every set that is scored: ID test, OOD and the probes."""
    groups: Mapping[str, list[str]]
    """The OOD sets of 'near' and of 'far'."""

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.task.folder

    def latents(self, name: str) -> Path:
        """Return the store of an encoded set."""
        return self.folder / "data/latents" / name

    def outliers(self, method: str) -> Path:
        """Return the store of a synthesis method's outliers."""
        return self.folder / "data/outliers" / method

    def contents(self) -> dict[str, NDArray[np.int64]]:
        """Return the content hash of every ID test and OOD image, by image set."""
        return {
            name: store_contents(Store(self.sets[name]))
            for name in ("id_test", *(name for members in self.groups.values() for name in members))
        }

    def teacher(self, seed: int) -> Path:
        """Return the cross-entropy network of a seed."""
        return self.folder / "models/teacher" / str(seed)


def require_clean() -> None:
    """Raise PipelineError where a file, other than the results themselves, differs from the commit they are told of."""
    if changed := call(Path(), "git", "status", "--porcelain", "--untracked-files=no", "--", ".", *WRITTEN):
        raise PipelineError(f"found changes that are not committed, wanted a clean checkout: {changed.split()[1]}")


def prepare(task: Task, seeds: int, methods: Sequence[str]) -> Project:
    """Bring a task's project to this commit, and run what is out of date in it, trainings of detectors excepted."""
    folder, own = task.folder, default_methods(task.benchmark)
    _clone(folder)
    _link(task)
    for table in task.tables:
        write(table, folder)
    (folder / "params.yaml").write_text(parameters(task, seeds, sorted({*own, *methods})), encoding="utf-8")
    params = load_all(folder / "params.yaml")
    _repro(folder)
    ood = {name: group for name, group in params.data.ood_sets().items() if name != EXPOSURE}
    groups = {side: [name for name in ood if ood[name] == side] for side in ("near", "far")}
    sets = {name: folder / "data/latents" / name for name in ("id_test", *ood)}
    sets |= {f"probe/{name}": folder / "data/probes" / name for name in PROBES}
    require_apart(sets, ood, folder / "data/latents" / EXPOSURE)
    return Project(task, params, own, sets, groups)


def require_apart(sets: Mapping[str, Path], ood: Sequence[str] | Mapping[str, str], exposure: Path) -> None:
    """Raise PipelineError where a real outlier to train on is an image of an OOD set."""
    trained_on = store_contents(Store(exposure))
    for name in ood:
        if shared := int(np.isin(store_contents(Store(sets[name])), trained_on).sum()):
            raise PipelineError(f"{sets[name]}: {shared} of its images are among the real outliers; wanted none.")


def _clone(folder: Path) -> None:
    """Check out this commit in the task's clone, whose DVC cache is that of all tasks."""
    if not folder.is_dir():
        with whole_or_absent(folder) as clone:
            call(Path(), "git", "clone", "--quiet", ".", str(clone))
            (clone / ".dvc/config.local").write_text(f"[cache]\n    dir = {CACHE.absolute()}\n", encoding="utf-8")
    call(folder, "git", "fetch", "--quiet", "origin", "HEAD")
    call(folder, "git", "checkout", "--quiet", "--force", "--detach", str(git_revision()))


def _link(task: Task) -> None:
    """Link the Parquet files of this project into the task's."""
    for name in IMAGES[task.benchmark].files:
        if not Path(name).is_file():
            raise PipelineError(f"{name}: not found; put or link the Parquet file there (docs/images.md).")
        link = task.folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(Path(name).resolve())


def _repro(folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "dvc", "repro", *STAGES]
    done = subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, check=False)  # noqa: S603  # our own
    if done.returncode:
        raise PipelineError(f"{folder}: `dvc repro` ended with exit code {done.returncode}; its last lines say why.")


def call(folder: Path, *arguments: str) -> str:
    """Run a command in a folder and return what it prints; its errors are printed and end this one."""
    done = subprocess.run(arguments, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
    return done.stdout
