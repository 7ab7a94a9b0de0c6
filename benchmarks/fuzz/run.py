"""Give a reader many broken inputs, and count how many it read, refused and failed at."""

import logging
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, NamedTuple

import numpy as np

from benchmarks.fuzz.broken import Random
from benchmarks.fuzz.watch import MEMORY, SECONDS, Peak, watched
from pipeline.images.decode import quiet
from pipeline.runtime.progress import progress


class Reader(NamedTuple):
    """Something that reads: how an input for it is made, how it is read, and what it may raise."""

    name: str
    made: Callable[[Random], Any]
    read: Callable[[Any], object]
    expected: tuple[type[Exception], ...]
    weight: float
    """Its share of all inputs, as a part of the sum of all weights; expensive readers get few."""


class Outcome(NamedTuple):
    """What became of the inputs of a reader."""

    name: str
    counts: Counter[str]
    failures: list[str]
    slowest: float
    """Seconds of the slowest input."""
    largest: int
    """Bytes of memory that the most demanding input took, beyond what the process had before."""

    def described(self) -> dict[str, float]:
        """Return the counts, time and memory as the report has them."""
        measured = {"slowest_seconds": round(self.slowest, 2), "largest_mib": round(self.largest / 2**20)}
        return {**dict(sorted(self.counts.items())), **measured}


def fuzz(reader: Reader, inputs: int, seed: int) -> Outcome:
    """Return how many inputs were read, refused and failed, and a line on each failure.

    An input fails where anything but an expected error comes out, and where it takes too long or too much memory.
    """
    counts: Counter[str] = Counter()
    failures: list[str] = []
    slowest, largest, peak = 0.0, 0, Peak()
    rng = np.random.default_rng(seed)
    logging.disable(logging.WARNING)  # diffusers tells of unknown keys
    with progress(f"fuzzing {reader.name}", inputs) as advance, watched() as forbidden, quiet():
        for number in range(inputs):
            content = reader.made(rng)
            peak.start()
            began = time.perf_counter()
            result, problem = _result(reader, content)
            slowest, grown = max(slowest, time.perf_counter() - began), peak.grown()
            largest = max(largest, grown)
            if grown > MEMORY:
                result, problem = "failed", f"took {grown:,} bytes of memory"
            if forbidden:
                result, problem = "failed", f"led to {', '.join(forbidden)}"
                forbidden.clear()
            counts[result] += 1
            if result == "failed":
                failures.append(f"input {number}: {problem}")
            advance(1)
    return Outcome(reader.name, counts, failures, slowest, largest)


def _result(reader: Reader, content: object) -> tuple[str, str]:
    """Return 'read', 'refused' or 'failed', and of a failure what came out."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with redirect_stderr(StringIO()):  # readers have progress bars of their own
            reader.read(content)
    except reader.expected:
        return "refused", ""
    except Exception as error:  # noqa: BLE001  # what this looks for
        return "failed", f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "read", ""
