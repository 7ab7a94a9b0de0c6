"""Large tables: in memory as long as the budget of this process lasts, then in files that the system pages in and out.

Where a table lies changes no value in it. The budget is LATENT_OUTLIERS_MEMORY, such as `8GiB`; without it half of the
memory this process may use. It is no parameter, since it may not change a byte of any result.
"""

import os
import re
import tempfile
import weakref
from math import prod
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.workspace import WORK

GenericT = TypeVar("GenericT", bound=np.generic)
ENVIRONMENT = "LATENT_OUTLIERS_MEMORY"
UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
AT_ONCE = 1024  # rows on their way from one table to another
CGROUP = Path("/sys/fs/cgroup/memory.max")


class _Held:
    """How many bytes of tables are in memory."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, size: int) -> None:
        self.size += size


_held = _Held()


def memory_budget() -> int:
    """Return the bytes of tables this process may hold in memory; raises PipelineError when it is set to nonsense."""
    asked = os.environ.get(ENVIRONMENT)
    if not asked:
        return _available() // 2
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]iB|)", asked)
    if found is None:
        raise PipelineError(f"{ENVIRONMENT} is {asked!r}, wanted bytes or a number with KiB, MiB, GiB or TiB: 8GiB.")
    return int(float(found[1]) * UNITS[found[2]])


def share_budget(workers: int) -> None:
    """Leave this process one of `workers` equal parts of its budget, and so each of as many processes like it."""
    os.environ[ENVIRONMENT] = str(memory_budget() // workers)


def empty_table(shape: tuple[int, ...], dtype: type[GenericT]) -> NDArray[GenericT]:
    """Return an array to be filled, in memory if the budget has room for it; raises OSError when the disk has none."""
    size = prod(shape) * np.dtype(dtype).itemsize
    if _held.size + size > memory_budget():
        return _mapped(shape, dtype, size)
    table = np.empty(shape, dtype)
    _held.add(size)
    weakref.finalize(table, _held.add, -size)
    return table


def gathered(rows: Tensor, index: NDArray[np.int64]) -> Tensor:
    """Return the rows numbered `index` on the same device, as a table of their own: rows[index] in bounded memory."""
    if rows.device.type != "cpu":
        return rows[torch.from_numpy(index)]
    table = torch.from_numpy(empty_table((len(index), *rows.shape[1:]), rows.numpy().dtype.type))
    for start in range(0, len(index), AT_ONCE):
        table[start : start + AT_ONCE] = rows[torch.from_numpy(index[start : start + AT_ONCE])]
    return table


def _mapped(shape: tuple[int, ...], dtype: type[GenericT], size: int) -> NDArray[GenericT]:
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=WORK) as file:  # without a name: it ends with the process, however that ends
        os.posix_fallocate(file.fileno(), 0, max(1, size))  # a full disk is an error here, and a crash when written to
        return np.memmap(file, dtype, "r+", shape=shape)


def _available() -> int:
    """Return the memory of this machine, or what its container may use of it."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(machine, int(CGROUP.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit
        return machine
