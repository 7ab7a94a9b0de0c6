"""Prefetch images for a network: threads decode the next batches while the network computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
READERS = 2
"""Number of threads. Each has a batch in memory, and one more batch waits."""


def prefetch(function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
    """Yield `function(item)` for each item, in order, and compute the next few results in threads.

    At most READERS + 1 results are in memory or under way. The first error in the order of the items is raised, and
    calls that have not begun are cancelled.
    """
    remaining, pending = iter(items), deque[Future[ResultT]]()
    pool = ThreadPoolExecutor(READERS, "read")
    try:
        while True:
            pending.extend(pool.submit(function, item) for item in islice(remaining, READERS + 1 - len(pending)))
            if not pending:
                return
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
