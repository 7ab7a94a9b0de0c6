"""Every test runs in a folder of its own, on the CPU, without a network; what a test counts is told at the end."""

import socket

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setenv("LATENT_OUTLIERS_DEVICE", "cpu")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(self, address):
        message = f"a test wanted to connect to {address}"
        raise AssertionError(message)

    monkeypatch.setattr(socket.socket, "connect", refuse)


TOLD = pytest.StashKey[list]()


@pytest.fixture
def tell(request):
    """Return a function whose lines are printed after the tests: what was tried, how often."""
    return request.config.stash.setdefault(TOLD, []).append


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(TOLD, []):
        terminalreporter.write_line(line)
