"""A Ray cluster runs units as any pool does: errors are raised once, lost units run again, strangers are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runtime.cluster import Driver, RayPool
from pipeline.runtime.errors import ClusterError, DamagedStoreError, MissingExtraError, ModelError, UnitError
from pipeline.runtime.launch import Launch
from pipeline.runtime.units import finished_folder, run_units
from tests.helpers.make import ROOT
from tests.runtime.test_units import Task, work


def run(cluster, tasks, function=work):
    run_units(function, tasks, launch=Launch(ray=cluster.address), title="test")


def counted(task):
    """Fail like a user's mistake, and leave a mark for every time."""
    (task.output.parent / f"{os.getpid()}-{os.urandom(4).hex()}.mark").touch()
    raise ModelError("a model is missing")


def killed_once(task):
    mark = task.output.with_suffix(".mark")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    with finished_folder(task.output) as folder:
        (folder / "pid").write_text(str(os.getpid()))


def test_every_unit_gets_its_folder_from_a_worker(cluster, tmp_path):
    tasks = [Task(tmp_path / str(index)) for index in range(3)]
    run(cluster, tasks)
    assert os.getpid() not in {int((task.output / "pid").read_text()) for task in tasks}


def test_a_unit_whose_process_was_killed_runs_again(cluster, tmp_path):
    run(cluster, [Task(tmp_path / "0")], killed_once)
    assert (tmp_path / "0" / "pid").is_file()


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("bug", UnitError, "unit '1' failed: ZeroDivisionError"),
        ("damage", DamagedStoreError, "found 0 bytes, wanted 1 byte"),
        pytest.param("killed", UnitError, "unit '1' failed: a process died", marks=pytest.mark.slow),
    ],
)
def test_a_failed_unit_is_named_as_it_is_without_a_cluster(cluster, tmp_path, fault, error, message):
    with pytest.raises(error, match=message):
        run(cluster, [Task(tmp_path / "0"), Task(tmp_path / "1", fault)])
    assert not (tmp_path / "1").exists()


def test_an_error_of_the_user_is_not_tried_again(cluster, tmp_path):
    with pytest.raises(ModelError, match="^a model is missing$"):
        run(cluster, [Task(tmp_path / "0")], counted)
    assert len(list(tmp_path.glob("*.mark"))) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"folder": "/nowhere/at/all"}, "found no folder /nowhere/at/all, wanted the folder of the run"),
        ({"libraries": (("numpy", "0.1"),)}, r"found numpy [\d.]+, not 0.1, wanted the code and libraries"),
        (
            {"code": (("pipeline.runtime.files", "0" * 64),)},
            "found another version of pipeline.runtime.files, wanted the code and libraries",
        ),
        ({"code": (("pipeline.new", "0" * 64),)}, "found another version of pipeline.new, wanted"),
    ],
)
def test_a_worker_that_is_not_like_the_driver_is_refused(cluster, tmp_path, monkeypatch, changed, message):
    driver = Driver.current()._replace(**changed)
    monkeypatch.setattr(Driver, "current", lambda: driver)
    with pytest.raises(ClusterError, match=rf"^worker on \S+: {message}"):
        run(cluster, [Task(tmp_path / "0")])
    assert not (tmp_path / "0").exists()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_a_cluster_that_is_not_there_is_one_line(address):
    with pytest.raises(ClusterError, match=rf"^--ray \(RAY_ADDRESS\) {address}: found no cluster .*ray start --head"):
        RayPool(address, 1)


def test_a_task_that_fits_on_no_machine_is_refused(cluster):
    with pytest.raises(ClusterError, match="found machines of 2 cores and 0 GPUs, wanted one of at least 3 cores"):
        RayPool(cluster.address, 3)


def test_workers_of_this_machine_and_a_cluster_are_one_too_many():
    with pytest.raises(ClusterError, match=r"^--workers: found 4 beside the Ray cluster 'auto', wanted one of the two"):
        Launch(4, "auto")


def test_a_package_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"^--ray \(RAY_ADDRESS\) needs the package ray.*'\.\[ray\]'$"):
        RayPool("auto", 1)


def test_without_a_cluster_ray_is_not_imported():
    stages = "stages.encode, stages.synthesize, stages.teacher, stages.train"
    parts = "pipeline.latents.encoding, pipeline.outliers.make, pipeline.training.seeds, pipeline.training.detector"
    code = f"import sys, {stages}, {parts}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_an_address_may_come_from_the_environment(tmp_path):
    stage = [sys.executable, "-m", "stages.teacher", *[tmp_path] * 4, "teachers", "curves", "--workers", "2"]
    told = subprocess.run(
        stage, cwd=ROOT, env=os.environ | {"RAY_ADDRESS": "auto"}, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr.split(":")[:2]) == (1, ["error", " --workers"])
    assert not Path("teachers").exists()
