"""Teach an image classifier what it does not know, with outliers made in latent space.

`from pipeline import Detector` is a finished detector; it is loaded where it is first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.detector.detector import Detector

__all__ = ["Detector"]


def __getattr__(name: str) -> Any:
    """Return the class of a finished detector, so that `import pipeline` itself loads no PyTorch."""
    if name in __all__:
        return import_module("pipeline.detector.detector").Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
