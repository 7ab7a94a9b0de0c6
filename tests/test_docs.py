"""Code in the documentation is run as it stands there."""

import re

import numpy as np
import pytest

from pipeline.store.reader import Store
from tests.make import ROOT, outliers_store
from tests.project import call, commit, make_repository


def python_blocks(name):
    return re.findall(r"```python\n(.+?)```", (ROOT / "docs" / name).read_text(), re.DOTALL)


@pytest.fixture
def store(tmp_path):
    return outliers_store(tmp_path / "data/outliers/mixup")


def test_a_store_is_read_without_this_project(store):
    found = {}
    exec(python_blocks("shards.md")[0], found)
    np.testing.assert_array_equal(found["scaled"], Store(store).latents())
    assert found["classes"][:4] == ["class 0", "class 1", "class 2", "class 0"]


def test_a_revision_is_read_without_this_project(store, tmp_path):
    make_repository(tmp_path)
    call(tmp_path, "dvc", "add", "--quiet", store)
    commit(tmp_path, "a store")
    call(tmp_path, "git", "tag", "v1")
    found = {}
    exec(python_blocks("shards.md")[1].replace("git@example.org:team/project.git", str(tmp_path)), found)
    np.testing.assert_array_equal(found["group"]["latent"][:], Store(store).latents())


def test_the_documentation_names_no_command_that_is_not_there():
    from pipeline.cli import app

    commands = {(command.name or command.callback.__name__).replace("_", "-") for command in app.registered_commands}
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        named = set(re.findall(r"latent-outliers ([a-z][a-z-]+)", path.read_text()))
        assert named <= commands, path
