"""`make clean` deletes what the stages in dvc.yaml made, and nothing that the user put beside it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.params.synthesize import METHODS
from pipeline.runtime.files import PARTIAL, WORK, write_bytes
from pipeline.runtime.outputs import PARENTS
from pipeline.schema.text import plain_yaml
from tests.helpers.make import ROOT

PROJECT = Path("project")


@pytest.fixture(autouse=True)
def project():
    PROJECT.mkdir()
    shutil.copy(ROOT / "Makefile", PROJECT)
    for method in METHODS:
        write_bytes(PROJECT / f"pipeline/outliers/methods/{method}.py", b"")


def outputs():
    """Return every output that dvc.yaml names, of a set called `noise` and of every method."""
    found = []
    for entry in plain_yaml((ROOT / "dvc.yaml").read_text())["stages"].values():
        stage = entry.get("do", entry)
        for output in [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]:
            path = (output if isinstance(output, str) else next(iter(output))).replace("${key}", "noise")
            found += [path.replace("${item.method}", method) for method in METHODS] if "${" in path else [path]
    return found


def write(*names):
    for name in names:
        write_bytes(PROJECT / name, b"x")


def clean():
    subprocess.run(["make", "clean"], cwd=PROJECT, check=True, capture_output=True)


def files(folder=PROJECT):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_all_that_stages_make_is_deleted():
    before = files()
    write(*(name if Path(name).suffix else f"{name}/0/file" for name in outputs()), ".work/mixup-0/1/rows")
    clean()
    assert files() == before


def test_the_makefile_names_outputs_of_stages_only():
    recipe = subprocess.run(["make", "-n", "clean"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    named = {path.replace("*", "noise") for path in re.findall(r"-path '\./(.*?)'", recipe)}
    left = {name for name in named if Path(name).name == WORK.name or name.endswith(f".noise{PARTIAL}")}
    assert named - left == {*outputs()}
    assert {WORK, *(parent / WORK for parent in PARENTS)} <= set(map(Path, left))


def test_what_a_killed_process_left_beside_outputs_is_deleted_and_downloads_of_the_user_stay():
    write("data/images/cats/1.jpg.partial", "data/mine.host.1.partial", "reports/notes.partial")
    before = files()
    write("reports/metrics.json.host.17.partial", "data/guarded.json.a.host.1.partial", "data/.work/x/1/rows")
    write("data/latents/noise.host.3.partial/rows", "models/.work/teacher/1/0/weights")
    clean()
    assert files() == before


def test_what_the_user_put_there_stays():
    imported = ("latents/theirs", "outliers/theirs", "outliers/perturb")
    write(*(f"data/{name}/0" for name in imported), *(f"data/{name}.dvc" for name in imported))
    write("data/images/photos/1.png", "data/outliers/got/0", "data/cifar10/test.parquet")
    write("models/mine/weights", "reports/notes.txt", "reports/training/notes.txt", ".venv/data/probes/0")
    before = files()
    clean()
    assert files() == before


@pytest.mark.parametrize("link", ["data", "data/latents", "data/outliers", "data/scores", "models", "reports", ".work"])
def test_what_a_link_leads_to_stays(link):
    for name in (*outputs(), "cat/1.png"):
        write_bytes(Path("photos") / (name if Path(name).suffix else f"{name}/file"), b"x")
        below = name.removeprefix(f"{link}/")
        write_bytes(Path("photos") / (below if Path(below).suffix else f"{below}/file"), b"x")
    before = files(Path("photos"))
    (PROJECT / link).parent.mkdir(exist_ok=True)
    (PROJECT / link).symlink_to(Path("photos").absolute(), target_is_directory=True)
    clean()
    assert files(Path("photos")) == before
