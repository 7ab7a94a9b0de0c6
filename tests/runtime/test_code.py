"""Code is named by the modules that were loaded; of a stage, only what cannot change a byte is left out."""

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module

import pytest

from pipeline.cli.main import warn_of_other_code
from pipeline.runtime.code import CODE, WITHOUT_EFFECT, effective_code, has_other_code, loaded_code
from pipeline.runtime.files import file_digest
from tests.helpers.make import ROOT

SHOWS_ITS_CODE = """
import json
from pipeline.runtime.code import loaded_code
print(json.dumps(loaded_code()))
"""


@pytest.fixture
def stage(tmp_path):
    """A folder with a package `stages`, whose module `shown` says what is loaded while it runs."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").touch()
    (tmp_path / "stages/shown.py").write_text(SHOWS_ITS_CODE)
    return tmp_path


def python(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_module_that_is_run_has_its_own_name_and_the_digest_it_has_when_imported(stage):
    found = python(stage, "-m", "stages.shown")
    assert found["stages.shown"] == file_digest(stage / "stages/shown.py")
    assert "__main__" not in found
    assert found == python(stage, "-c", "import stages.shown")


def test_only_modules_of_this_project_are_named_each_by_its_file(stage):
    found = python(stage, "-m", "stages.shown")
    assert {name.split(".")[0] for name in found} == {"pipeline", "stages"}
    assert found["pipeline.runtime.code"] == file_digest(ROOT / "pipeline/runtime/code.py")


def test_without_a_module_that_is_run_nothing_is_named_for_it(stage):
    assert "__main__" not in python(stage, "-c", SHOWS_ITS_CODE)
    assert "stages" not in python(stage, "-c", SHOWS_ITS_CODE)


def test_effective_code_leaves_out_exactly_the_modules_without_effect():
    for name in WITHOUT_EFFECT:
        import_module(name)
    whole, effective = loaded_code(), effective_code()
    assert whole.keys() - effective.keys() == {*WITHOUT_EFFECT}
    assert effective.items() <= whole.items()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a copy of this code."""
    for folder in CODE:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_project_with_the_same_code_is_not_warned_of(project, capsys):
    warn_of_other_code()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("file", ["pipeline/losses/energy_bound.py", "stages/added.py"])
def test_a_project_with_other_code_is_told_which_code_runs(project, file, capsys):
    with (project / file).open("a") as stream:
        stream.write("# changed here\n")
    warn_of_other_code()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"warning: {project} has code of its own, and this is other code, in {ROOT / 'pipeline'}; run"
    )


def test_a_folder_that_is_no_project_has_no_code(tmp_path):
    (tmp_path / "pipeline").mkdir()
    assert not has_other_code(tmp_path)
    assert not has_other_code(ROOT)
