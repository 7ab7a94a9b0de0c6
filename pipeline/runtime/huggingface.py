"""Use the libraries of Hugging Face: import transformers, silence its output, and keep a local folder local."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from pipeline.runtime.errors import MissingExtraError, reason

EXTRA = "pretrained"


def import_transformers(parameter: str) -> Any:
    """Return the package, or raise MissingExtraError.

    parameter: name of the parameter in params.yaml that needs the package.
    """
    try:
        return import_module("transformers")
    except ImportError as error:
        raise MissingExtraError("transformers", EXTRA, parameter, reason(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the progress bars and messages of transformers. A stage has its own bar, and raises problems as errors."""
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


@contextmanager
def without_network(*, when: bool = True) -> Iterator[None]:
    """Let the hub's client refuse every request in the block, whatever the files of a local folder ask for.

    A folder of a stranger may name a model on the hub. A request would tell its owner the user's token.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or when
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
