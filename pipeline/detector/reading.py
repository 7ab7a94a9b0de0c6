"""Read image files batch by batch, ahead of the networks: a few in threads, many in processes of their own.

Pixels do not come back through a pipe, which takes as long as to decode a small file: they are written into memory
that these processes share with this one.
"""

import ctypes
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from math import prod
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.child import end_with_parent
from pipeline.detector.images import read_pixels
from pipeline.errors import ImageFileError
from pipeline.images.decode import quiet

READERS = 4
"""Batches that are decoded at a time."""
PROCESSES_FROM = 4_096
"""Images from which processes pay: Python decodes small files in one thread at a time, but a process has to start."""
SHARED = Path("/dev/shm")  # noqa: S108  # where Python puts shared memory on Linux
Errors = list[ImageFileError | None]
"""Of each file of a batch: None, or why it is no image."""


class Reading:
    """Batches of files on their way to being pixels, each in one of a few places that take turns.

    A batch keeps its place until so many others have been begun.
    """

    def __init__(self, pool: Executor, read: Callable[[Sequence[str], int], Errors], places: NDArray[np.uint8]) -> None:
        self._pool, self._read, self._places = pool, read, places
        self._turns = cycle(range(len(places)))
        self.batches, self.batch_size = places.shape[:2]

    def begin(self, files: Sequence[str]) -> tuple[Future[Errors], NDArray[np.uint8]]:
        """Return what will be the errors of a batch, and (batch size, s, s, 3) of pixels: the images come first."""
        turn = next(self._turns)
        return self._pool.submit(self._read, files, turn), self._places[turn]


@contextmanager
def readers(images: int, batches: int, batch_size: int, size: int) -> Iterator[Reading]:
    """Yield what reads so many images in all; what was not begun when the body ends is dropped.

    batches: that may be on their way at a time, fewer where there are fewer; size: pixels of an image's side.
    A process dies with this one, and on Ctrl-C. Where there is no room for memory to share, threads read them all.
    """
    shape = (min(batches, -(-images // batch_size)), min(images, batch_size), size, size, 3)
    if images < PROCESSES_FROM or not _may_share(prod(shape)):
        places = np.empty(shape, np.uint8)
        pool: Executor = ThreadPoolExecutor(READERS)
        reading = Reading(pool, lambda files, turn: read_batch(files, places[turn]), places)
    else:
        context, workers = multiprocessing.get_context("spawn"), min(READERS, os.cpu_count() or 1)
        memory = context.RawArray(ctypes.c_uint8, prod(shape))
        pool = ProcessPoolExecutor(workers, context, _begin, (memory, shape))
        reading = Reading(pool, _read_shared, _array(memory, shape))
    try:
        yield reading
    finally:
        pool.shutdown(cancel_futures=True)


def _may_share(size: int) -> bool:
    """Return whether so many bytes can be shared: they lie in a file of /dev/shm or, if that is too small, elsewhere.

    A process that writes into such a file where the disk is full is killed by the system.
    """
    return any(place.is_dir() and disk_usage(place).free >= size for place in (SHARED, Path(gettempdir())))


def read_batch(files: Sequence[str], pixels: NDArray[np.uint8]) -> Errors:
    """Write each image as RGB into (n, s, s, 3), one behind the other; return why the other files are none."""
    errors, read = Errors(), 0
    with quiet():
        for file in files:
            try:
                pixels[read] = read_pixels(file, pixels.shape[1])
            except ImageFileError as error:
                errors.append(error)
            else:
                errors.append(None)
                read += 1
    return errors


class _Shared:
    """What a process that reads was given when it began."""

    places: NDArray[np.uint8]


_shared = _Shared()


def _begin(memory: Any, shape: tuple[int, ...]) -> None:
    end_with_parent()
    _shared.places = _array(memory, shape)


def _read_shared(files: Sequence[str], turn: int) -> Errors:
    return read_batch(files, _shared.places[turn])


def _array(memory: Any, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.frombuffer(memory, np.uint8).reshape(shape)
