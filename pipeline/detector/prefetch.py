"""Prefetch image files: decode the next batches while the networks compute, in threads or in worker processes.

A few images are decoded in threads, many in processes. Processes write pixels into shared memory, since sending them
through a pipe takes as long as decoding a small file.
"""

import ctypes
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import cycle
from math import prod
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.detector.images import read_pixels
from pipeline.images.decode import quiet
from pipeline.runtime.child_process import end_with_parent
from pipeline.runtime.errors import ImageFileError

READERS = 4
"""Number of batches decoded at the same time."""
PROCESSES_FROM = 4_096
"""Number of images from which processes are used. Threads decode small files one at a time; processes start slowly."""
SHARED = Path("/dev/shm")  # noqa: S108  # Python's location of shared memory on Linux
ImageErrors = list[ImageFileError | None]
"""For each file of a batch: None, or the error if it is no image."""


class PixelPrefetcher:
    """Decodes batches of files into pixel buffers ("slots"), which are reused in turn.

    A batch keeps its slot until `batches` further batches have begun.
    """

    def __init__(
        self,
        pool: Executor,
        read: Callable[[Sequence[str], int], ImageErrors],  # reads files into the slot of this index
        slots: NDArray[np.uint8],  # (batches, batch size, s, s, 3)
    ) -> None:
        self._pool, self._read, self._slots = pool, read, slots
        self._slot_indices = cycle(range(len(slots)))
        self.batches, self.batch_size = slots.shape[:2]

    def begin(self, files: Sequence[str]) -> tuple[Future[ImageErrors], NDArray[np.uint8]]:
        """Begin to decode a batch; return its future errors and its slot (batch size, s, s, 3).

        When the errors are there, the slot has the pixels of all files without an error, in order, from its start.
        Raises BrokenProcessPool, as the future does, when a process that decodes has died.
        """
        slot = next(self._slot_indices)
        try:
            return self._pool.submit(self._read, files, slot), self._slots[slot]
        except OSError as error:
            if error.errno is not None:  # of the system, such as too many open files
                raise
            # the pool noticed a death in another thread, and has closed the pipes that a new process would get
            raise BrokenProcessPool(str(error)) from error


@contextmanager
def prefetcher(images: int, batches: int, batch_size: int, size: int) -> Iterator[PixelPrefetcher]:
    """Yield a prefetcher for `images` images; batches not yet begun when the body ends are dropped.

    batches: the largest number of batches in flight, fewer if there are fewer images. size: side of an image in pixels.
    Worker processes end with this process, and on Ctrl-C. If shared memory has no room, threads decode all images.
    """
    shape = (min(batches, -(-images // batch_size)), min(images, batch_size), size, size, 3)
    if images < PROCESSES_FROM or not _can_share(prod(shape)):
        slots = np.empty(shape, np.uint8)
        pool: Executor = ThreadPoolExecutor(READERS)
        pixel_prefetcher = PixelPrefetcher(pool, lambda files, slot: read_batch(files, slots[slot]), slots)
    else:
        context, workers = multiprocessing.get_context("spawn"), min(READERS, os.cpu_count() or 1)
        memory = context.RawArray(ctypes.c_uint8, prod(shape))
        pool = ProcessPoolExecutor(workers, context, _start_worker, (memory, shape))
        pixel_prefetcher = PixelPrefetcher(pool, _read_shared, _array(memory, shape))
    try:
        yield pixel_prefetcher
    finally:
        pool.shutdown(cancel_futures=True)


def _can_share(size: int) -> bool:
    """Return whether `size` bytes of shared memory fit into /dev/shm or, if that is too small, the temporary folder.

    Shared memory is a file there. The system kills a process that writes into such a file when the disk is full.
    """
    return any(folder.is_dir() and disk_usage(folder).free >= size for folder in (SHARED, Path(gettempdir())))


def read_batch(files: Sequence[str], pixels: NDArray[np.uint8]) -> ImageErrors:
    """Decode the images into `pixels` (n, s, s, 3), RGB, one after the other; return the error or None of each file."""
    errors, images = ImageErrors(), 0
    with quiet():
        for file in files:
            try:
                pixels[images] = read_pixels(file, pixels.shape[1])
            except ImageFileError as error:
                errors.append(error)
            except MemoryError:
                advice = "Free memory, or make the picture smaller."
                errors.append(ImageFileError(file, "a picture that does not fit into memory", "a smaller one", advice))
            else:
                errors.append(None)
                images += 1
    return errors


class _WorkerState:
    """The slots in shared memory that a worker process was given at its start."""

    slots: NDArray[np.uint8]


_worker = _WorkerState()


def _start_worker(memory: Any, shape: tuple[int, ...]) -> None:
    end_with_parent()
    _worker.slots = _array(memory, shape)


def _read_shared(files: Sequence[str], slot: int) -> ImageErrors:
    return read_batch(files, _worker.slots[slot])


def _array(memory: Any, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.frombuffer(memory, np.uint8).reshape(shape)
