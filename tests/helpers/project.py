"""A real project in a folder of its own: the files of this one, tiny parameters, git and DVC."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers.make import ROOT, tiny_params, write_params
from tests.helpers.warm import warmed

DVC_FILES = (".dvc/config", ".dvc/.gitignore", ".dvcignore", "dvc.yaml")
FILES = ("pipeline", "stages", ".gitignore", *DVC_FILES)
IDENTITY = {f"GIT_{who}_{what}": "tester@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def make_project(folder, **changes):
    """Write and commit a project that has not run yet."""
    for name in FILES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    write_params(folder, tiny_params(**changes))
    make_repository(folder)
    commit(folder, "start")


def make_repository(folder):
    """Start git and, unless its files are there, DVC in a folder."""
    folder.mkdir(exist_ok=True)
    call(folder, "git", "init", "--quiet", "--initial-branch", "main")
    if not (folder / ".dvc").exists():
        call(folder, "dvc", "init", "--quiet")


def commit(folder, message):
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", message)


def environment(folder):
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | IDENTITY | {"HOME": str(home), "PATH": path, "LATENT_OUTLIERS_DEVICE": "cpu"}


def call(folder, *arguments, code=0):
    """Run a command in a project as a user would; return what it prints."""
    done = subprocess.run(
        list(map(str, arguments)), cwd=folder, env=warmed(environment(folder)), capture_output=True, text=True,
        check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def stages_run(output):
    return re.findall(r"Running stage '([^']+)'", output)
