"""A Ray cluster on this machine that is there for a block of code: a head, and more machines of its own if wanted."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from pipeline.runtime.cluster import TASK

ROOT = Path(__file__).parents[2]
STORE_BYTES = 80 * 2**20
"""Ray's least for shared memory; what a task here returns is small."""
SECONDS_TO_START = 60
SECONDS_TO_WORK = 10
RANK = "RayTrainWorker"
"""In the name of a process of Ray Train's."""


class Cluster(NamedTuple):
    """A running cluster."""

    environment: Mapping[str, str]
    """What a process needs of it in its environment: address and token."""
    machines: list[subprocess.Popen[bytes]]

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.environment["RAY_ADDRESS"]

    @property
    def token(self) -> dict[str, str]:
        """What has to be in the environment before ray is imported."""
        return {name: value for name, value in self.environment.items() if name != "RAY_ADDRESS"}

    def workers(self) -> list[psutil.Process]:
        """Return the processes that do tasks, at the first moment when there are any: between tasks they are nameless.

        Raises TimeoutError where no task runs within SECONDS_TO_WORK.
        """
        deadline = time.monotonic() + SECONDS_TO_WORK
        while time.monotonic() < deadline:
            if found := self._named(f"ray::{TASK}"):
                return found
        raise TimeoutError(f"no task ran within {SECONDS_TO_WORK} s")

    def ranks(self) -> list[psutil.Process]:
        """Return the processes that share a training now."""
        return self._named(RANK)

    def _named(self, part: str) -> list[psutil.Process]:
        return [process for machine in self.machines for process in _below(machine) if part in _name(process)]

    def lose_last_machine(self) -> list[int]:
        """Kill all processes of the machine that joined last; return their ids."""
        lost = [process.pid for process in _below(self.machines[-1])]
        _end(self.machines.pop())
        return lost


@contextmanager
def local_cluster(*cores: int, token: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Run a head of so many cores, and a machine of its own for every further number; end all with the block.

    token: the one that must be shown to it, which a process reads once; by default a new one.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    token = token or {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    cluster = Cluster({**address, **token}, [])
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        stack.callback(_end_all, cluster.machines)
        for number, count in enumerate(cores):
            where = [f"--address={cluster.address}"] if number else ["--head", f"--port={port}", f"--temp-dir={folder}"]
            log = Path(folder) / f"machine-{number}.log"
            cluster.machines.append(_start([*where, f"--num-cpus={count}"], token, log))
        yield cluster


def _start(arguments: list[str], token: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *arguments]
    command += [f"--object-store-memory={STORE_BYTES}", "--num-gpus=0"]
    if "--head" in arguments:
        command.append("--include-dashboard=false")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with log.open("wb") as stream:
        machine = subprocess.Popen(  # noqa: S603  # Ray's own command
            command, env=dict(environment, PYTHONPATH=str(ROOT), **token), stdout=stream, stderr=stream,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + SECONDS_TO_START
    while b"Ray runtime started" not in log.read_bytes():
        if machine.poll() is not None or time.monotonic() > deadline:
            _end(machine)
            raise RuntimeError(f"Ray did not start: {log.read_text()}")
        time.sleep(0.1)
    return machine


def _end_all(machines: list[subprocess.Popen[bytes]]) -> None:
    for machine in reversed(machines):
        _end(machine)


def _end(machine: subprocess.Popen[bytes]) -> None:
    """Kill one machine with everything that it started; asked to end, it would first wait for half a minute."""
    for process in [*_below(machine), *([psutil.Process(machine.pid)] if machine.poll() is None else [])]:
        if process.is_running():
            process.send_signal(signal.SIGKILL)
    machine.wait()


def _below(machine: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return list(psutil.Process(machine.pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""
