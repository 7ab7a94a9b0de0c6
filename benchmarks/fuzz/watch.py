"""Watch a process: whether it ran foreign code, how long an input took and how much memory it wanted."""

import re
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

SECONDS = 20
"""Longest time for an input."""
MEMORY = 2**30
"""Most memory for an input, in bytes above what the process had before."""
ALLOWANCE = 8 * 2**30
"""Bytes of addresses that the process gets beyond those it has: no input takes the machine's memory."""
FORBIDDEN = ("os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen", "pickle.find_class", "exec")
STATUS, CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SIZES = re.compile(rb"Vm(HWM|RSS):\s+(\d+) kB")


class HangError(Exception):
    """An input took longer than it may."""


class Peak:
    """The most memory of this process since `start`, beyond what it had then; 0 where there is no Linux."""

    def __init__(self) -> None:
        self._before = 0

    def start(self) -> None:
        """Begin to measure."""
        if CLEAR_PEAK.exists():
            CLEAR_PEAK.write_text("5")
            self._before = _sizes()["RSS"]

    def grown(self) -> int:
        """Return the bytes since then."""
        return max(_sizes()["HWM"] - self._before, 0) if CLEAR_PEAK.exists() else 0


def _sizes() -> dict[str, int]:
    return {name.decode(): 1024 * int(kilobytes) for name, kilobytes in SIZES.findall(STATUS.read_bytes())}


@contextmanager
def limited_addresses() -> Iterator[None]:
    """Let this process have ALLOWANCE bytes more than it has; a larger array is a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    has = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (has + ALLOWANCE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Yield a list of what Python did meanwhile that no reader of data may do; stop what takes too long."""
    seen: list[str] = []
    active = True

    def audit(event: str, _: tuple[Any, ...]) -> None:
        if active and event in FORBIDDEN and not _importing():
            seen.append(event)

    def stop(_: int, __: FrameType | None) -> NoReturn:
        raise HangError(f"over {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    sys.addaudithook(audit)  # cannot be removed, only silenced
    try:
        yield seen
    finally:
        active = False
        signal.signal(signal.SIGALRM, before)


def _importing() -> bool:
    """Return whether a module is being imported now, whose own code is executed."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # the documented way to look at callers
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
