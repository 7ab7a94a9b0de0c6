"""Costs are those of the process that ran: its time, its memory, all stages after what they depend on."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks import stage_costs
from pipeline.runtime.files import read_json, write_json
from tests.helpers.project import call, make_repository

PIPELINE = """stages:
  last:
    cmd: "true"
    deps: [middle]
  middle:
    cmd: touch middle
    deps: [first]
    outs: [middle]
  first:
    cmd: touch first
    outs: [first]
"""


@pytest.fixture
def dvc(tmp_path, monkeypatch):
    """Return a function that puts a script in the place of dvc; it is given the arguments of dvc."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")

    def write(code):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/dvc").write_text(f"#!{sys.executable}\nimport sys, time\n{code}\n")
        (tmp_path / "bin/dvc").chmod(0o755)

    return write


def test_waiting_costs_seconds_and_work_costs_processor_time(dvc):
    dvc("time.sleep(0.5)")
    waited = stage_costs._cost("first")
    dvc("began = time.process_time()\nwhile time.process_time() < began + 0.5: pass")
    worked = stage_costs._cost("first")
    assert waited["seconds"] >= 0.5
    assert worked["cpu_seconds"] - waited["cpu_seconds"] > 0.3


def test_memory_is_that_of_the_process_in_mib(dvc):
    dvc("pass")
    small = stage_costs._cost("first")["peak_mib"]
    dvc("b'x' * (200 * 2**20)")
    assert 180 < stage_costs._cost("first")["peak_mib"] - small < 220


def test_a_stage_that_fails_ends_the_measurement(dvc):
    dvc("sys.exit(3 if sys.argv[1:] == ['repro', '--single-item', '--quiet', 'first'] else 0)")
    with pytest.raises(SystemExit, match="first ended with exit code 3"):
        stage_costs._cost("first")


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # of a library of DVC's
def test_every_stage_runs_once_after_what_it_depends_on(monkeypatch, capsys):
    make_repository(Path())
    Path("dvc.yaml").write_text(PIPELINE)
    monkeypatch.setattr(sys, "argv", ["stage_costs", "mine"])
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    stage_costs.main()
    report = read_json(Path("benchmarks/results/stage_costs/mine.json"))
    assert set(report["stages"]) == {"first", "middle", "last"}
    assert Path("middle").exists()
    assert "all" in capsys.readouterr().out
    assert call(Path(), "dvc", "status").strip() == "Data and pipelines are up to date."
    assert report["reached"] == {}


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # of a library of DVC's
def test_what_is_up_to_date_is_not_measured_and_what_was_reached_stands_in_the_file(monkeypatch, capsys):
    make_repository(Path())
    Path("dvc.yaml").write_text(PIPELINE)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    call(Path(), "dvc", "repro")
    Path("dvc.yaml").write_text(PIPELINE.replace("touch middle", "touch middle again"))
    sections = {name: {"some": "figures"} for name in stage_costs.REACHED}
    write_json(Path("reports/metrics.json"), sections | {"warnings": []})
    monkeypatch.setattr(sys, "argv", ["stage_costs", "again"])
    stage_costs.main()
    report = read_json(Path("benchmarks/results/stage_costs/again.json"))
    assert (set(report["stages"]), report["reached"]) == ({"middle"}, sections)
    assert "first" not in capsys.readouterr().out


def test_times_add_up_and_memory_does_not():
    one = {"seconds": 1.0, "cpu_seconds": 2.0, "peak_mib": 300.0, "load": 0.5}
    two = {"seconds": 4.0, "cpu_seconds": 3.0, "peak_mib": 100.0, "load": 1.5}
    assert stage_costs._total({"a": one, "b": two}) == {
        "seconds": 5.0, "cpu_seconds": 5.0, "peak_mib": 300.0, "load": 1.5,
    }  # fmt: skip
