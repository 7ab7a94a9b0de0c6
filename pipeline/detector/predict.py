"""Judge files and folders of any size: read ahead, several batches side by side, rows are written as they come."""

import os
import sys
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
from pipeline.detector.listing import count_images, image_files
from pipeline.detector.output import Output, Row, open_output
from pipeline.detector.reading import READERS, Errors, Reading, readers
from pipeline.device import keep_freed_memory
from pipeline.errors import ReaderDiedError, UnreadImagesError
from pipeline.progress import progress

PIXELS_AT_ONCE = 2**22
"""Of all batches that are computed at a time: one of 64 images of 256 pixels a side, whose maps fill gigabytes."""


class Counts(NamedTuple):
    """What was written: files that vanish meanwhile, or come, are told from those that were listed first."""

    rows: int
    outliers: int
    unread: int


def predict_files(bundle: Path, sources: list[Path], target: Path | None, *, batch_size: int, strict: bool) -> None:
    """Load the bundle, write a row per image, in order, and say on stderr how many there were.

    A file that is no image gets a row with its error; if strict, the first such file ends it all with ImageFileError.
    Raises ImageFileError for a source without images before anything is loaded, UnreadImagesError and ReaderDiedError.
    """
    images, detector = count_images(sources), Detector.load(bundle)
    with (
        open_output(target) as output,
        readers_for(detector, images, batch_size) as reading,
        progress("judging images", images) as advance,
        closing(judged(detector, image_files(sources), reading, strict=strict)) as rows,
    ):
        found = write_answers(rows, output, advance)
    sys.stderr.write(f"{found.rows - found.unread} images judged, {found.outliers} of them outliers\n")
    if found.unread:
        raise UnreadImagesError(found.unread, found.rows, "standard output" if target is None else str(target))


def write_answers(batches: Iterable[list[Row]], output: Output, advance: Callable[[int], None]) -> Counts:
    """Write the rows of each batch; return how many there were."""
    written = outliers = unread = 0
    for rows in batches:
        output.write(rows)
        written += len(rows)
        outliers += sum(row[4] is True for row in rows)
        unread += sum(row[5] is not None for row in rows)
        advance(len(rows))
    return Counts(written, outliers, unread)


def readers_for(detector: Detector, images: int, batch_size: int) -> AbstractContextManager[Reading]:
    """Return what reads so many images in all, ahead of this detector."""
    batches = READERS + _judges(detector, batch_size)
    return readers(images, batches, batch_size, detector.image_size)


def judged(detector: Detector, files: Iterable[str], reading: Reading, *, strict: bool) -> Generator[list[Row]]:
    """Yield the rows of each batch of files, in order; a few batches are in memory, however many there are.

    reading: what `readers_for` gives. Raises ImageFileError for the first file that is no image, if strict, and
    ReaderDiedError.
    """
    rest, waiting = iter(files), deque[Future[list[Row]]]()
    with _threads(min(_judges(detector, reading.batch_size), reading.batches)) as judging:
        try:
            while True:
                while len(waiting) < reading.batches and (names := list(islice(rest, reading.batch_size))):
                    errors, pixels = reading.begin(names)
                    waiting.append(judging.submit(_rows, detector, names, errors, pixels, strict=strict))
                if not waiting:
                    return
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ReaderDiedError from error


def _judges(detector: Detector, batch_size: int) -> int:
    """Return how many batches are computed side by side: on a GPU one, on a CPU one per core if they are small.

    Cores with a batch each are busier than cores that share one and wait for each other after every layer.
    """
    fitting = PIXELS_AT_ONCE // (batch_size * detector.image_size**2) if detector.device.type == "cpu" else 1
    return min(max(fitting, 1), torch.get_num_threads())


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    """Yield threads that share out among them the threads that PyTorch would give one."""
    threads = torch.get_num_threads()
    keep_freed_memory()
    pool = ThreadPoolExecutor(count, "judge", torch.set_num_threads, (threads // count,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # threads that begin later take the number that was set last


def _rows(
    detector: Detector, files: list[str], reading: Future[Errors], pixels: NDArray[np.uint8], *, strict: bool
) -> list[Row]:
    errors = reading.result()
    if strict:
        for error in filter(None, errors):
            raise error
    images = errors.count(None)
    answers = zip(*detector.judge(pixels[:images]), strict=True) if images else iter(())
    return [
        (_spelt(file), *next(answers), None)
        if error is None
        else (_spelt(file), None, None, None, None, _spelt(str(error)))
        for file, error in zip(files, errors, strict=True)
    ]


def _spelt(text: str) -> str:
    """Return text with a path in it as UTF-8 can hold it; on Unix a name may be any bytes."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")
