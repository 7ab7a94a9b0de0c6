"""Judge files and folders of any size: threads read ahead of the networks, rows are written as they come."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.detector.detector import Detector
from pipeline.detector.images import read_pixels
from pipeline.detector.listing import count_images, image_files
from pipeline.detector.output import Output, Row, open_output
from pipeline.errors import ImageFileError, UnreadImagesError
from pipeline.progress import progress

READERS = 4
"""Threads that decode images; each has a batch in memory, and one more waits."""


@dataclass(frozen=True)
class _Read:
    """One file: its pixels, or why there are none."""

    file: Path
    pixels: NDArray[np.float32] | None
    error: ImageFileError | None


def predict_files(bundle: Path, sources: list[Path], target: Path | None, *, batch_size: int, strict: bool) -> None:
    """Load the bundle, judge all images, and say on stderr how many there were; otherwise as `write_answers`.

    Raises ImageFileError for a source without images before anything is loaded.
    """
    images = count_images(sources)
    with open_output(target) as output:
        detector = Detector.load(bundle)
        with progress("judging images", images) as advance:
            files = image_files(sources)
            outliers, unread = write_answers(detector, files, output, advance, batch_size=batch_size, strict=strict)
    sys.stderr.write(f"{images - unread} images judged, {outliers} of them outliers\n")
    if unread:
        raise UnreadImagesError(unread, images, "standard output" if target is None else str(target))


def write_answers(
    detector: Detector,
    files: Iterable[Path],
    output: Output,
    advance: Callable[[int], None],
    *,
    batch_size: int,
    strict: bool,
) -> tuple[int, int]:
    """Write a row per file, in order; return how many were outliers, and how many could not be read.

    A file that is no image gets a row with its error; if strict, the first such file ends it all with ImageFileError.
    """
    outliers = unread = 0
    for rows in judged(detector, files, batch_size, strict=strict):
        for row in rows:
            output.write(row)
            outliers += row[4] is True
            unread += row[5] is not None
        advance(len(rows))
    return outliers, unread


def judged(detector: Detector, files: Iterable[Path], batch_size: int, *, strict: bool) -> Iterator[list[Row]]:
    """Yield the rows of each batch of files, in order; a few batches are in memory, however many there are.

    Raises ImageFileError for the first file that is no image, if strict.
    """
    for batch in _read_ahead(files, detector.image_size, batch_size):
        whole = [read.pixels for read in batch if read.pixels is not None]
        answers = iter(detector.judge(whole) if whole else [])
        rows: list[Row] = []
        for read in batch:
            if read.error is not None:
                if strict:
                    raise read.error
                rows.append((_spelt(read.file), None, None, None, None, str(read.error)))
            else:
                answer = next(answers)
                said = (answer.label, answer.probability, answer.outlier_score, answer.is_outlier)
                rows.append((_spelt(read.file), *said, None))
        yield rows


def _read_ahead(files: Iterable[Path], size: int, batch_size: int) -> Iterator[list[_Read]]:
    """Yield batches of files that threads have read while the batches before were judged."""
    rest, waiting = iter(files), deque[Future[list[_Read]]]()
    pool = ThreadPoolExecutor(READERS)
    try:
        while True:
            while len(waiting) <= READERS and (batch := list(islice(rest, batch_size))):
                waiting.append(pool.submit(_read_batch, batch, size))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_batch(files: list[Path], size: int) -> list[_Read]:
    return [_read(file, size) for file in files]


def _read(file: Path, size: int) -> _Read:
    try:
        return _Read(file, read_pixels(file, size), None)
    except ImageFileError as error:
        return _Read(file, None, error)


def _spelt(file: Path) -> str:
    """Return a path as text that UTF-8 can hold; on Unix a name may be any bytes."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")
