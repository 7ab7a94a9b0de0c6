"""A setting of the whole process that is changed while any thread needs it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Lock


class SharedContext:
    """A context that is entered with the first thread and left with the last one."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make, self._lock, self._inside = make, Lock(), 0
        self._context: AbstractContextManager[None] = nullcontext()

    def __enter__(self) -> None:
        """Enter the context unless another thread is inside."""
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._context = self._make()
                self._context.__enter__()

    def __exit__(self, *_: object) -> None:
        """Leave the context unless another thread is inside."""
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._context.__exit__(None, None, None)
