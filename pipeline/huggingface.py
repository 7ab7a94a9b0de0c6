"""The optional package transformers: imported where a parameter asks for it and kept quiet."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from pipeline.errors import MissingExtraError, reason

EXTRA = "pretrained"


def import_transformers(parameter: str) -> Any:
    """Return the package, or raise MissingExtraError; parameter: what in params.yaml needs it."""
    try:
        return import_module("transformers")
    except ImportError as error:
        raise MissingExtraError("transformers", EXTRA, parameter, reason(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' own bars and notes off the terminal; the stage has its own, and what is wrong is an error."""
    logging = import_module("transformers.utils.logging")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
