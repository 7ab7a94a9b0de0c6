"""Which device computes, and how randomness, threads and memory are set: for results that can be repeated, fast."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from pipeline.errors import DeviceError

ENVIRONMENT = "LATENT_OUTLIERS_DEVICE"
STAGE_THREADS, UNIT_THREADS = 2, 1
"""Of PyTorch on a CPU, in a stage that computes by itself and in work that runs side by side. Fixed, never taken from
the machine: a sum that is split among more threads may differ in its last bit."""
LARGEST_KEPT = 2**25 - 2**13
"""Bytes; the largest block that glibc's malloc can be led to keep."""


def chosen_device() -> torch.device:
    """Return the device of LATENT_OUTLIERS_DEVICE, else a GPU where there is one, else the CPU.

    It is no parameter: which device computes may not be part of what is asked for. Raises DeviceError when this
    machine or this build of PyTorch does not have it.
    """
    name = os.environ.get(ENVIRONMENT) or ("cuda" if torch.cuda.is_available() else "cpu")
    return usable_device(ENVIRONMENT, name)


def usable_device(asked_by: str, name: str) -> torch.device:
    """Return the device of that name; raises DeviceError, which names `asked_by`, when it is not there."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(asked_by, name, str(error).splitlines()[0]) from error


def default_workers(device: torch.device) -> int:
    """Return one worker per core this process may use on a CPU, one in all on a GPU."""
    if device.type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_torch(threads: int) -> None:
    """Make PyTorch give the same bits on every run, on a GPU too, and use the memory again that it frees.

    threads: STAGE_THREADS or UNIT_THREADS. Every process that computes begins with it.
    """
    keep_freed_memory()
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms does the same after 2 s of imports
    # or every tensor is filled when it is made, a kernel more for each on a GPU; nothing reads such memory
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set at run time
    torch.backends.cudnn.benchmark = False


def keep_freed_memory() -> None:
    """Lead glibc's malloc to keep the blocks it frees, up to LARGEST_KEPT; elsewhere this does nothing.

    It keeps blocks up to the largest that was freed so far, which is one that is freed here. Others go back to the
    system, and every page of the next tensor is faulted in anew.
    """
    np.empty(LARGEST_KEPT, np.uint8)


class _FullFloat32:
    """PyTorch's switches are one set for the process: the first block turns them, the last one turns them back."""

    def __init__(self) -> None:
        self._lock, self._blocks, self._before = threading.Lock(), 0, ExitStack()

    def begin(self) -> None:
        with self._lock:
            if not self._blocks:
                exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
                self._before.enter_context(exact)
            self._blocks += 1

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._before.close()


_FULL_FLOAT32 = _FullFloat32()


@contextmanager
def full_float32() -> Iterator[None]:
    """Let a GPU convolve with all bits of float32 inside the block, as a CPU does: TF32, its default, keeps 10.

    What scores and thresholds come from is computed so, in every stage and in a bundle; training is not. Several
    threads may be inside at once.
    """
    _FULL_FLOAT32.begin()
    try:
        yield
    finally:
        _FULL_FLOAT32.end()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Yield a generator on `device` and seed PyTorch's own draws (weight initialisation) inside the block only."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield torch.Generator(device).manual_seed(seed)
