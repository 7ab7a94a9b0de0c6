"""A dataset is fetched from a hub on this machine by the library's own code, and found again without a network."""

import subprocess
import sys

import pytest

from tests.images.hub_server import hub_server
from tests.images.hugging import COMMIT, HUB, as_files, write_files
from tests.stages.test_stages import ENVIRONMENT

PROGRAM = """
from pipeline.images.hub_dataset import DatasetAddress, open_dataset
from pipeline.runtime.errors import PipelineError
from pipeline.schema.reader import validate
try:
    found = open_dataset(validate("params.yaml", DatasetAddress, {address}))
    print({{name: len(split) for name, split in found.items()}})
except PipelineError as error:
    print(error)
"""
WHOLE = "{'train': 240, 'test': 80}\n"


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path)
    as_files(tmp_path)
    return tmp_path


def opened(folder, endpoint, *, offline="0", **changes):
    """Open the dataset in a process whose hub is at `endpoint`, and return the line that it prints."""
    environment = ENVIRONMENT | {"HF_HOME": str(folder / "home"), "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": offline}
    program = [sys.executable, "-c", PROGRAM.format(address=HUB | changes)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert (done.stderr, done.stdout.count("\n")) == ("", 1)
    return done.stdout


def test_what_was_fetched_once_is_there_without_a_network(folder):
    with hub_server(folder / "animals") as endpoint:
        assert opened(folder, endpoint) == WHOLE
    assert opened(folder, endpoint, offline="1") == WHOLE


def test_what_the_hub_does_not_give_is_one_line(folder):
    with hub_server(folder / "animals") as endpoint:
        absent = opened(folder, endpoint, dataset="team/none")
        assert "DatasetNotFoundError: Dataset 'team/none' doesn't exist on the Hub or cannot be accessed" in absent
        assert "Dataset 'team/gated' is a gated dataset on the Hub" in opened(folder, endpoint, dataset="team/gated")
        assert "found nothing to open (" in opened(folder, endpoint, revision=COMMIT[::-1])


def test_a_script_on_the_hub_is_never_run(folder):
    (folder / "animals/animals.py").write_text("open('was_run', 'w')\n")
    with hub_server(folder / "animals") as endpoint:
        assert "Dataset scripts are no longer supported, but found animals.py" in opened(folder, endpoint)
    assert not (folder / "was_run").exists()
