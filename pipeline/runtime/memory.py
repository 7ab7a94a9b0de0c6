"""Large tables: in memory within the budget of this process, beyond it in memory-mapped files.

The location of a table does not change its values. The budget is LATENT_OUTLIERS_MEMORY, such as `8GiB`. By default it
is half of the memory that this process may use. It is not a parameter, since it may not change a byte of any result.
"""

import os
import re
import tempfile
import weakref
from math import prod
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import WORK
from pipeline.runtime.shortage import machine_memory

GenericT = TypeVar("GenericT", bound=np.generic)
ENVIRONMENT = "LATENT_OUTLIERS_MEMORY"
UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
COPY_ROWS = 1024
"""Number of rows that are copied at once from one table to another."""


class _TableBytes:
    """Counter of the bytes of all tables in memory."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, size: int) -> None:
        self.size += size


_table_bytes = _TableBytes()


def memory_budget() -> int:
    """Return how many bytes of tables this process may keep in memory.

    Raises PipelineError when LATENT_OUTLIERS_MEMORY is not a size.
    """
    setting = os.environ.get(ENVIRONMENT)
    if not setting:
        return machine_memory() // 2
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]iB|)", setting)
    if match is None:
        raise PipelineError(
            f"{ENVIRONMENT} is {setting!r}, wanted bytes or a number with KiB, MiB, GiB or TiB. Set it to a size such "
            f"as 8GiB, or unset it."
        )
    return int(float(match[1]) * UNITS[match[2]])


def share_budget(workers: int) -> None:
    """Reduce the budget of this process to one of `workers` equal parts. Each of `workers` processes calls this."""
    os.environ[ENVIRONMENT] = str(memory_budget() // workers)


def empty_table(shape: tuple[int, ...], dtype: type[GenericT]) -> NDArray[GenericT]:
    """Return an uninitialised array, in memory if the budget allows it, else in a file.

    Raises OSError when the disk has no room for the file.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if _table_bytes.size + size > memory_budget():
        return _mapped(shape, dtype, size)
    table = np.empty(shape, dtype)
    _table_bytes.add(size)
    weakref.finalize(table, _table_bytes.add, -size)
    return table


def gathered(rows: Tensor, index: NDArray[np.int64]) -> Tensor:
    """Return a new table of the rows numbered `index`, on the same device: rows[index] in bounded memory."""
    if rows.device.type != "cpu":
        return rows[torch.from_numpy(index)]
    table = torch.from_numpy(empty_table((len(index), *rows.shape[1:]), rows.numpy().dtype.type))
    for start in range(0, len(index), COPY_ROWS):
        table[start : start + COPY_ROWS] = rows[torch.from_numpy(index[start : start + COPY_ROWS])]
    return table


def _mapped(shape: tuple[int, ...], dtype: type[GenericT], size: int) -> NDArray[GenericT]:
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=WORK) as file:  # it has no name, so it is gone when the process ends
        os.posix_fallocate(file.fileno(), 0, max(1, size))  # a full disk raises an error here, not a crash later
        return np.memmap(file, dtype, "r+", shape=shape)
