"""Predict for files and folders of any size and write one row per image.

Images are decoded ahead of the networks, small batches are computed side by side, and rows are written as they come.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.detector.detector import Detector
from pipeline.detector.listing import PassedOver, count_images, image_files
from pipeline.detector.prediction_file import Prediction, Row, RowWriter, open_output
from pipeline.detector.prefetch import READERS, ImageErrors, PixelPrefetcher, prefetcher
from pipeline.runtime.device import keep_freed_memory
from pipeline.runtime.errors import ReaderDiedError, UnreadImagesError
from pipeline.runtime.progress import progress
from pipeline.runtime.shortage import needed_memory
from pipeline.runtime.text.terminal import warn

PIXELS_AT_ONCE = 2**22
"""Pixels of all batches computed at a time: 64 images of 256 x 256, whose feature maps already fill gigabytes."""


class RowCounts(NamedTuple):
    """The number of rows written; it differs from the images listed first if files vanish or appear meanwhile."""

    rows: int
    outliers: int
    unread: int


def predict_files(
    load: Callable[[], Detector], sources: list[Path], target: Path | None, *, batch_size: int, strict: bool
) -> None:
    """Load a detector, write one row per image in order, and print the counts on stderr, also of files passed over.

    A file that is no image gets a row with its error; if strict, the first such file raises ImageFileError. A source
    without images raises ImageFileError before anything is loaded. Raises UnreadImagesError and ReaderDiedError.
    """
    passed_over = PassedOver()
    images = count_images(sources, passed_over)
    detector = load()
    with (
        open_output(target, detector.threshold) as writer,
        prefetcher_for(detector, images, batch_size) as prefetched,
        progress("judging images", images) as advance,
        closing(predicted_rows(detector, image_files(sources), prefetched, strict=strict)) as batches,
    ):
        counts = write_rows(batches, writer, advance)
    judged = counts.rows - counts.unread
    warn(f"{judged:,} images judged, {counts.outliers:,} of them outliers (score above {detector.threshold:.6g})")
    if passed_over.counts:
        warn(f"{passed_over.counts.total()} other files passed over: {passed_over}")
    if counts.unread:
        raise UnreadImagesError(counts.unread, counts.rows, "standard output" if target is None else str(target))


def write_rows(batches: Iterable[list[Row]], writer: RowWriter, advance: Callable[[int], None]) -> RowCounts:
    """Write the rows of each batch and return their counts."""
    written = outliers = unread = 0
    for rows in batches:
        writer.write(rows)
        written += len(rows)
        outliers += sum(row[4] is True for row in rows)
        unread += sum(row[5] is not None for row in rows)
        advance(len(rows))
    return RowCounts(written, outliers, unread)


def prefetcher_for(detector: Detector, images: int, batch_size: int) -> AbstractContextManager[PixelPrefetcher]:
    """Return a prefetcher of `images` images for a detector."""
    batches = READERS + _batches_side_by_side(detector, batch_size)
    return prefetcher(images, batches, batch_size, detector.image_size)


def predicted_rows(
    detector: Detector, files: Iterable[str], prefetched: PixelPrefetcher, *, strict: bool
) -> Generator[list[Row]]:
    """Yield the rows of each batch of files, in order; only a few batches are in memory at a time.

    prefetched: from `prefetcher_for`. If strict, the first file that is no image raises ImageFileError. Raises
    ReaderDiedError.
    """
    remaining, pending = iter(files), deque[Future[list[Row]]]()
    with _threads(min(_batches_side_by_side(detector, prefetched.batch_size), prefetched.batches)) as pool:
        try:
            while True:
                while len(pending) < prefetched.batches and (batch := list(islice(remaining, prefetched.batch_size))):
                    errors, pixels = prefetched.begin(batch)
                    pending.append(pool.submit(_rows, detector, batch, errors, pixels, strict=strict))
                if not pending:
                    return
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise ReaderDiedError from error


def _batches_side_by_side(detector: Detector, batch_size: int) -> int:
    """Return the number of batches computed at the same time: one on a GPU; on a CPU, up to one per core if small.

    Cores that compute one batch each are busier than cores that share a batch and wait for each other at every layer.
    """
    fitting = PIXELS_AT_ONCE // (batch_size * detector.image_size**2) if detector.device.type == "cpu" else 1
    return min(max(fitting, 1), torch.get_num_threads())


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    """Yield a pool of `count` threads that divide PyTorch's intra-op threads among themselves."""
    threads = torch.get_num_threads()
    keep_freed_memory()
    pool = ThreadPoolExecutor(count, "predict", torch.set_num_threads, (threads // count,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # threads that start later use the number set last


def _rows(
    detector: Detector, files: list[str], decoding: Future[ImageErrors], pixels: NDArray[np.uint8], *, strict: bool
) -> list[Row]:
    errors = decoding.result()
    if strict:
        for error in filter(None, errors):
            raise error
    images = errors.count(None)
    predictions = iter(_predictions(detector, pixels[:images]))
    return [
        (_utf8(file), *next(predictions)) if error is None else (_utf8(file), None, None, None, None, _utf8(str(error)))
        for file, error in zip(files, errors, strict=True)
    ]


def _predictions(detector: Detector, pixels: NDArray[np.uint8]) -> list[Prediction]:
    """Return the predictions of a batch; if memory does not suffice, those of its halves, down to single images.

    An image for which memory does not suffice has an error. One whose score is not finite has one too, and is an
    outlier.
    """
    if not len(pixels):
        return []
    try:
        predictions = zip(*detector.predict_pixels(pixels), strict=True)
        return [row if row[4] is None else (None, None, None, True, row[4]) for row in predictions]
    except (MemoryError, RuntimeError) as error:
        if (size := needed_memory(error)) is None:
            raise
        if len(pixels) == 1:
            return [(None, None, None, None, f"memory does not suffice: the networks need {size}")]
    half = len(pixels) // 2  # after the block, so that what the error holds is freed
    return _predictions(detector, pixels[:half]) + _predictions(detector, pixels[half:])


def _utf8(text: str) -> str:
    """Return text, with a path in it, such that UTF-8 can encode it; on Unix a file name may be any bytes."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")
