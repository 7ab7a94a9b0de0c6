"""Read image files batch by batch, ahead of the networks: a few in threads, many in processes of their own."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detector.images import read_pixels
from pipeline.errors import ImageFileError
from pipeline.units import end_with_parent

READERS = 4
"""Batches that are decoded at a time."""
PROCESSES_FROM = 4_096
"""Images from which processes pay: Python decodes small files in one thread at a time, but a process has to start."""


@dataclass(frozen=True)
class Batch:
    """Files that were read: pixels of those that are images, and of the others why they are none."""

    files: list[str]
    pixels: NDArray[np.uint8]  # (n, s, s, 3), of the files without an error, in order
    errors: list[ImageFileError | None]  # of each file


@contextmanager
def readers(images: int) -> Iterator[Executor]:
    """Yield what calls `read_batch` ahead for so many images in all; what was not begun when the body ends is dropped.

    A process dies with this one, and on Ctrl-C.
    """
    if images < PROCESSES_FROM:
        pool: Executor = ThreadPoolExecutor(READERS)
    else:
        workers = min(READERS, os.cpu_count() or 1)
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent)
        for _ in range(workers):
            pool.submit(os.getpid)  # they start now, while networks are loaded, and not with the first batch
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def read_batch(files: list[str], size: int) -> Batch:
    """Return what the files hold, each image as RGB of `size` pixels a side."""
    pixels, errors = [], list[ImageFileError | None]()
    for file in files:
        try:
            pixels.append(read_pixels(file, size))
            errors.append(None)
        except ImageFileError as error:
            errors.append(error)
    return Batch(files, np.stack(pixels) if pixels else np.empty((0, size, size, 3), np.uint8), errors)
