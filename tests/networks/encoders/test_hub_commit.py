"""A model is at hand where the hub names its commit, or where its weights were fetched before."""

import subprocess
import sys

import pytest

from tests.images.hub_server import COMMIT, hub_server
from tests.stages.test_stages import ENVIRONMENT

NAME = "team/backbone"
PROGRAM = """
import sys
from pipeline.networks.encoders.fetch import fetch_model
from pipeline.networks.encoders.hub_commit import commit_at_hand
model_id, revision, fetches = sys.argv[1:]
found = commit_at_hand(model_id, revision or None)
if fetches:
    print(fetch_model(model_id, None, found.commit, (fetches,)).name)
print(*found, sep="|")
"""


@pytest.fixture
def given(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def ask(tmp_path):
    """Return a function that asks for a model in a process with a cache of its own, and returns commit and problem."""

    def asked(endpoint, model_id=NAME, revision="", fetches="", offline="0"):
        home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": offline}
        command = [sys.executable, "-c", PROGRAM, model_id, revision, fetches]
        done = subprocess.run(command, env=ENVIRONMENT | home, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout.splitlines()[-1].split("|", 1)

    return asked


def test_the_hub_names_the_commit(given, ask):
    with hub_server(given, NAME) as endpoint:
        assert ask(endpoint) == ask(endpoint, revision="main") == ask(endpoint, revision=COMMIT) == [COMMIT, ""]


def test_what_the_hub_lacks_is_nowhere(given, ask):
    with hub_server(given, NAME) as endpoint:
        commit, problem = ask(endpoint, "team/none")
    assert commit == "None"
    assert "404" in problem


def test_weights_that_were_fetched_are_at_hand_without_a_hub(given, ask):
    with hub_server(given, NAME) as endpoint:
        ask(endpoint, fetches="*")
    assert ask(endpoint)[0] == ask(endpoint, revision=COMMIT)[0] == COMMIT
    commit, problem = ask(endpoint, offline="1")
    assert commit == COMMIT
    assert "HF_HUB_OFFLINE" in problem
    assert ask(endpoint, revision="other")[0] == ask(endpoint, "team/none")[0] == "None"


def test_a_description_without_weights_is_not_at_hand(given, ask):
    with hub_server(given, NAME) as endpoint:
        ask(endpoint, fetches="config.json")
    assert ask(endpoint, offline="1")[0] == "None"
