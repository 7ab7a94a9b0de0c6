"""Every test runs in a folder of its own, on the CPU, without a network; what a test counts is told at the end."""

import os
import socket

import pytest

from benchmarks.cluster.local import local_cluster
from tests.helpers.project import call, make_project, stages_run


def pytest_configure():
    """Let nothing ask the hub, and give every process of `pytest --numprocesses` cores of its own.

    What it starts inherits both. Threads that wait for each other, as PyTorch's do at every operation, would else wait
    for a core that another process is using, and take ten times as long.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        own = cores[int(worker.removeprefix("gw")) :: workers]
        os.sched_setaffinity(0, own or cores)


def pytest_collection_modifyitems(items):
    """Let modules with slow tests come first, so that `--dist loadfile` leaves none over for one process at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setenv("LATENT_OUTLIERS_DEVICE", "cpu")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    connect = socket.socket.connect

    def refuse(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            message = f"a test wanted to connect to {address}"
            raise AssertionError(message)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A project that has run once, and the stages it ran; whoever changes it puts it back."""
    folder = tmp_path_factory.mktemp("made") / "project"
    make_project(folder, synthesize__methods=["perturb", "mixup", "shuffle", "label_mixup"])
    return folder, stages_run(call(folder, "dvc", "repro"))


@pytest.fixture(scope="session")
def cluster():
    """A Ray cluster of two cores on this machine."""
    with local_cluster(2) as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.token.items():  # ray reads them once per process
            patch.setenv(name, value)
        yield started


@pytest.fixture
def tell(record_property):
    """Return a function whose lines are printed after the tests: what was tried, how often."""
    return lambda line: record_property("told", line)


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == "told" and report.when == "call":
                terminalreporter.write_line(line)
