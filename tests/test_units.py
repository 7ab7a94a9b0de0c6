"""Units run once each, in any number of processes; finished ones survive the failure of another."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import ModelError, UnitError
from pipeline.units import finished_folder, run_units


@dataclass(frozen=True)
class Task:
    output: Path
    fault: str | None = None


def work(task):
    if task.fault == "bug":
        raise ZeroDivisionError
    if task.fault == "known":
        message = "a model is missing"
        raise ModelError(message)
    if task.fault == "killed":
        os.kill(os.getpid(), 9)
    with finished_folder(task.output) as folder:
        (folder / "pid").write_text(str(os.getpid()))


def test_every_unit_gets_its_folder(tmp_path):
    tasks = [Task(tmp_path / str(index)) for index in range(3)]
    run_units(work, tasks, workers=2, what="test")
    assert all((task.output / "pid").is_file() for task in tasks)


def test_finished_units_are_not_run_again(tmp_path):
    (tmp_path / "0").mkdir()
    run_units(work, [Task(tmp_path / "0", "bug")], workers=1, what="test")
    assert list((tmp_path / "0").iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("bug", UnitError, "unit '1' failed: ZeroDivisionError"),
        ("killed", UnitError, "its process died"),
        ("known", ModelError, "a model is missing"),
    ],
)
def test_a_failed_unit_is_named_and_leaves_no_folder(tmp_path, fault, error, message):
    with pytest.raises(error, match=message):
        run_units(work, [Task(tmp_path / "0"), Task(tmp_path / "1", fault)], workers=1, what="test")
    assert not (tmp_path / "1").exists()


def test_a_folder_that_was_cut_short_is_started_over(tmp_path):
    with pytest.raises(ZeroDivisionError), finished_folder(tmp_path / "0") as folder:
        (folder / "half").write_text("x")
        raise ZeroDivisionError
    with finished_folder(tmp_path / "0"):
        pass
    assert list((tmp_path / "0").iterdir()) == []
