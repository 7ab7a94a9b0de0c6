"""Choose the device, and set up randomness, threads and memory so that results are repeatable and fast."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from pipeline.runtime.errors import DeviceError

ENVIRONMENT = "LATENT_OUTLIERS_DEVICE"
STAGE_THREADS, UNIT_THREADS = 2, 1
"""Number of PyTorch threads on a CPU: in a stage that computes alone, and in a unit that runs next to other units. They
do not depend on the machine, since a sum that is split among more threads may differ in its last bit."""
LARGEST_KEPT = 2**25 - 2**13
"""Size in bytes of the largest block that glibc's malloc can be made to keep."""


def chosen_device() -> torch.device:
    """Return the device in LATENT_OUTLIERS_DEVICE; if it is not set, a GPU if there is one, else the CPU.

    The device is not a parameter, since it is not part of what a run asks for. Raises DeviceError when this machine or
    this build of PyTorch does not have the device.
    """
    name = os.environ.get(ENVIRONMENT) or ("cuda" if torch.cuda.is_available() else "cpu")
    return usable_device(ENVIRONMENT, name)


def usable_device(asked_by: str, name: str) -> torch.device:
    """Return the device called `name`; raises DeviceError, which names `asked_by`, when it cannot be used."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(asked_by, name, str(error).splitlines()[0]) from error


def default_workers(device: torch.device) -> int:
    """Return the default number of workers: on a CPU one per core that this process may use, on a GPU one."""
    if device.type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_torch(threads: int) -> None:
    """Make PyTorch repeatable to the bit, also on a GPU, and make it reuse freed memory.

    Every process that computes calls this first.
    threads: STAGE_THREADS or UNIT_THREADS.
    """
    keep_freed_memory()
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, without its 2 s of imports
    # Otherwise every new tensor is filled, which is one more kernel on a GPU. Nothing reads uninitialised memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set at run time
    torch.backends.cudnn.benchmark = False


def keep_freed_memory() -> None:
    """Make glibc's malloc keep freed blocks of up to LARGEST_KEPT bytes. With other allocators this has no effect.

    glibc keeps blocks up to the size of the largest freed block, and this function frees one of LARGEST_KEPT bytes.
    Larger blocks go back to the system, and then every page of the next tensor causes a page fault.
    """
    np.empty(LARGEST_KEPT, np.uint8)


class _FullFloat32:
    """Sets PyTorch's flags when the first block begins, and resets them when the last block ends.

    The flags are global to the process, and blocks may overlap in several threads.
    """

    def __init__(self) -> None:
        self._lock, self._blocks, self._flags = threading.Lock(), 0, ExitStack()

    def begin(self) -> None:
        with self._lock:
            if not self._blocks:
                exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
                self._flags.enter_context(exact)
            self._blocks += 1

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._flags.close()


_FULL_FLOAT32 = _FullFloat32()


@contextmanager
def full_float32() -> Iterator[None]:
    """Inside the block, make a GPU convolve with all bits of float32, as a CPU does.

    A GPU's default, TF32, keeps 10 bits. Every stage and every bundle computes the inputs of scores and thresholds in
    full float32; training does not. Several threads may be in such a block at once.
    """
    _FULL_FLOAT32.begin()
    try:
        yield
    finally:
        _FULL_FLOAT32.end()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Yield a seeded generator on `device`. The block also seeds PyTorch's global generator (weight initialisation)."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield torch.Generator(device).manual_seed(seed)
