"""Keep libtiff, which Pillow reads TIFF files with, from writing lines of its own to stderr."""

import ctypes
from collections.abc import Callable
from functools import cache

from PIL import _imaging

Handlers = tuple[int | None, ...]
"""Addresses of the functions that libtiff calls with its errors and warnings; None: nothing is called."""
SILENT: Handlers = (None, None)


def exchange_handlers(handlers: Handlers) -> Handlers:
    """Set libtiff's handlers of errors and warnings, and return those before.

    Where the library cannot be reached through Pillow, as in a static build, nothing is changed.
    """
    return tuple(setter(handler) for setter, handler in zip(_setters(), handlers, strict=False))


@cache
def _setters() -> tuple[Callable[[int | None], int | None], ...]:
    try:
        library = ctypes.CDLL(_imaging.__file__)  # finds the functions of the libraries that Pillow is linked with
        setters = (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler)
    except (AttributeError, OSError):
        return ()
    for setter in setters:
        setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    return setters
