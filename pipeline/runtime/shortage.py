"""How much memory this machine has, and which errors of libraries mean that memory or the disk did not suffice."""

import errno
import os
import re
from pathlib import Path

from pipeline.runtime.errors import OutOfMemoryError

CGROUP = Path("/sys/fs/cgroup/memory.max")
MEMORY_WORDS = re.compile(
    r"out of memory|can't allocate memory|not enough memory|cannot allocate memory|bad_alloc|alloc_failed"
    r"|unable to allocate|storage size calculation overflowed|array is too big|maximum allowed dimension exceeded"
    r"|can't start new thread|could not create a (primitive|memory)",
    re.IGNORECASE,
)
"""What PyTorch, NumPy and their libraries say in a RuntimeError or ValueError when memory does not suffice."""
SIZE = re.compile(r"allocate (\d+) bytes|(\d+(?:\.\d+)? [KMGTPE]iB)")
RUST_ERROR = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust, such as safetensors, quote an error of the system."""


def machine_memory() -> int:
    """Return the memory of this machine in bytes, or the limit of its container if that is lower."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(machine, int(CGROUP.read_text()))
    except (OSError, ValueError):  # no container, or a container without a limit
        return machine


def require_memory(subject: object, size: int, advice: str = "Use a machine with more memory.") -> None:
    """Raise OutOfMemoryError, which names `subject`, when `size` bytes are more than this machine has."""
    if size > (memory := machine_memory()):
        raise OutOfMemoryError(subject, as_size(size), as_size(memory), advice)


def as_size(size: float) -> str:
    """Return a number of bytes as text, such as '2.1 TiB'."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024 or unit == "PiB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError


def needed_memory(error: BaseException) -> str | None:
    """Return how much memory an error asked for in vain, as text; None for an error of another kind."""
    if isinstance(error, OSError):
        short = error.errno == errno.ENOMEM
    elif isinstance(error, (RuntimeError, ValueError)):
        short = MEMORY_WORDS.search(str(error)) is not None
    else:
        short = isinstance(error, MemoryError)
    if not short:
        return None
    if (match := SIZE.search(str(error))) is None:
        return "more memory"
    return as_size(int(match[1])) if match[1] else match[2]


def system_error(error: BaseException) -> OSError | None:
    """Return an error of the system, also one that a library quotes in an error of its own; None for others."""
    if isinstance(error, OSError):
        return error
    match = RUST_ERROR.search(str(error))
    return None if match is None else OSError(int(match[1]), os.strerror(int(match[1])))
