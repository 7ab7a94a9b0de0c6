"""Units run once each, in any number of processes; finished ones survive the failure of another."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.runtime import units
from pipeline.runtime.errors import DamagedStoreError, ModelError, UnitError
from pipeline.runtime.launch import Launch
from pipeline.runtime.units import finished_folder, run_units
from tests.helpers.make import ROOT


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
    if task.fault == "damage":
        raise DamagedStoreError(task.output, "0 bytes", "1 byte")
    if task.fault == "slow":
        (task.output.parent / f"{task.output.name}.pid").write_text(str(os.getpid()))
        time.sleep(60)
    if task.fault == "killed":
        os.kill(os.getpid(), 9)
    with finished_folder(task.output) as folder:
        (folder / "pid").write_text(str(os.getpid()))


def test_every_unit_gets_its_folder(tmp_path):
    tasks = [Task(tmp_path / str(index)) for index in range(3)]
    run_units(work, tasks, launch=Launch(2), title="test")
    assert all((task.output / "pid").is_file() for task in tasks)


def test_the_bar_counts_the_steps_of_all_units_up_to_the_last(tmp_path, monkeypatch):
    told = []

    @contextmanager
    def progress(title, total):
        told.append(total)
        yield lambda steps, note: told.append(-steps)

    def in_thirds(tasks):
        return units.Done(3 * units.finished_units(tasks).steps)

    monkeypatch.setattr(units, "progress", progress)
    (tmp_path / "0").mkdir()
    tasks = [Task(tmp_path / str(index)) for index in range(2)]
    run_units(work, tasks, launch=Launch(1), title="test", steps=3, done=in_thirds)
    assert (told[0], sum(told)) == (6, 0)


def test_finished_units_are_not_run_again(tmp_path):
    (tmp_path / "0").mkdir()
    run_units(work, [Task(tmp_path / "0", "bug")], launch=Launch(1), title="test")
    assert list((tmp_path / "0").iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("bug", UnitError, "unit '1' failed: ZeroDivisionError"),
        ("killed", UnitError, "unit '1' failed: a process died"),
        ("known", ModelError, "a model is missing"),
        ("damage", DamagedStoreError, "found 0 bytes, wanted 1 byte"),
    ],
)
def test_a_failed_unit_is_named_and_leaves_no_folder(tmp_path, fault, error, message):
    with pytest.raises(error, match=message):
        run_units(work, [Task(tmp_path / "0"), Task(tmp_path / "1", fault)], launch=Launch(1), title="test")
    assert not (tmp_path / "1").exists()


def test_a_folder_that_was_cut_short_is_started_over(tmp_path):
    with pytest.raises(ZeroDivisionError), finished_folder(tmp_path / "0") as folder:
        (folder / "half").write_text("x")
        raise ZeroDivisionError
    with finished_folder(tmp_path / "0"):
        pass
    assert list((tmp_path / "0").iterdir()) == []


PARENT = """
import sys
from pathlib import Path
from tests.runtime.test_units import Task, work
from pipeline.runtime.launch import Launch
from pipeline.runtime.units import run_units
run_units(work, [Task(Path(sys.argv[1]) / str(n), "slow") for n in range(6)], launch=Launch(2), title="test")
"""


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, how):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path], env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert len(workers) == 2
    os.kill(parent.pid, how) if how == signal.SIGKILL else os.killpg(parent.pid, how)
    assert parent.wait(20) != 0
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))
    assert len(list(tmp_path.glob("*.pid"))) == 2, "a waiting unit was started"
