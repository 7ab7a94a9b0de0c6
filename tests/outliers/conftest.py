"""One tiny Stable Diffusion model for all tests, and copies of it to damage."""

import shutil
from pathlib import Path

import pytest

from tests.outliers.tiny_stable_diffusion import save_stable_diffusion


@pytest.fixture(scope="session")
def stable_diffusion_folder(tmp_path_factory):
    return save_stable_diffusion(tmp_path_factory.mktemp("stable_diffusion"))


@pytest.fixture
def given(stable_diffusion_folder):
    """A copy of one's own, in the working folder."""
    return Path(shutil.copytree(stable_diffusion_folder, "given"))
