"""Read images ahead of the network that they are for: threads decode while it computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

WorkT = TypeVar("WorkT")
ResultT = TypeVar("ResultT")
READERS = 2
"""Threads; each has a batch in memory, and one more waits."""


def read_ahead(function: Callable[[WorkT], ResultT], works: Iterable[WorkT]) -> Iterator[ResultT]:
    """Yield `function` of each work, in order; a few are begun before they are asked for, and no more are in memory.

    The first error, in their order, is raised, and what was not begun is dropped.
    """
    rest, waiting = iter(works), deque[Future[ResultT]]()
    pool = ThreadPoolExecutor(READERS, "read")
    try:
        while True:
            waiting.extend(pool.submit(function, work) for work in islice(rest, READERS + 1 - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
