"""Where an output really lies: whether a rename reaches it, and whether DVC can record it there."""

import errno
import os
from pathlib import Path

from pipeline.runtime.errors import ProjectError
from pipeline.runtime.files import WORK, partial_path, remove_abandoned

STAGE = "DVC_STAGE"
"""The environment variable in which DVC says which stage it runs, such as `encode@held_out`."""
PARENTS = tuple(map(Path, ("data", "data/latents", "data/outliers", "models", "models/denoiser", "reports")))
"""The folders that outputs of stages lie in."""


def work_folder(output: Path) -> Path:
    """Return the folder for unfinished work from which a rename reaches `output`.

    It is `.work` of the project. Where the output is on another file system, by a link or a mount, it is `.work` of the
    topmost folder of the project on that file system, such as `data/.work`.
    """
    inside_project = not output.is_absolute() and ".." not in output.parts
    between = list(reversed(output.parents)) if inside_project else []
    output.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(output)
    for folder in (Path(), *between):
        if _rename_reaches(folder / WORK, output):
            return folder / WORK
    return output.parent / WORK


def require_recordable(output: Path) -> None:
    """Raise ProjectError where a link leads to `output` and DVC would refuse to record it, but only after the stage.

    DVC records no output beyond a link that leaves the git repository. It does with its setting `core.no_scm`.
    """
    if output.parent.resolve().is_relative_to(Path.cwd().resolve()) or not Path(".dvc").is_dir():
        return
    from dvc.repo import Repo  # slow to import, and needed for such links only
    from dvc.scm import NoSCM

    with Repo() as repo:
        if isinstance(repo.scm, NoSCM) or output.parent.resolve().is_relative_to(repo.scm.root_dir):
            return
    raise ProjectError(
        output.parent,
        f"a link that leads to {output.parent.resolve()}",
        "a folder of the project, as DVC records no output beyond a link out of the git repository",
        "Mount the other disk in place of the link, such as `mount --bind /mnt/disk/data data`. Or do without "
        "experiments and revisions: `dvc config core.no_scm true`.",
    )


def run_by_dvc() -> bool:
    """Return whether DVC started this process as a stage."""
    return STAGE in os.environ


def _rename_reaches(work: Path, output: Path) -> bool:
    """Return whether a folder in `work` can be renamed to a name beside `output`; for bind mounts only that tells."""
    beside = partial_path(output)
    start = work / beside.name
    start.mkdir(parents=True, exist_ok=True)
    try:
        start.rename(beside)
    except OSError as error:
        start.rmdir()
        if error.errno != errno.EXDEV:
            raise
        return False
    beside.rmdir()
    return True
