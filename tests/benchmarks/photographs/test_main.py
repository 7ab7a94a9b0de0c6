"""The command writes folders, splits and parts, computes nothing twice, and prints the table."""

import io
import re
from pathlib import Path

import pytest

from benchmarks.photographs import __main__ as command
from benchmarks.photographs import cnn, contestants
from benchmarks.photographs.parts import Parts
from pipeline.commands.new_project import new_project
from pipeline.commands.photo_folders import ImageFolders
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.text.terminal import Console
from tests.benchmarks.photographs.make import DATASETS, photographs

CHEAP = ["thumbnails", "cnn"]


@pytest.fixture
def things(monkeypatch):
    """One tiny folder of photographs, networks of one epoch, and `new-project` in this process."""
    one = photographs()

    def make_project(folder, photographs, encoder, backbone):
        images = photographs.images
        folders = ImageFolders(images / "id", [images / "near"], [images / "far"])
        new_project(folder, folders, Console(file=io.StringIO()), encoder="supervised")

    def train(pixels, split, rate, seed):
        trained.append((rate, seed))
        return train_fully(pixels, split, rate, seed, epochs=1)

    trained, train_fully = [], cnn.train
    monkeypatch.setattr(command, "DEVELOPMENT", (one,))
    monkeypatch.setattr(
        contestants, "make_project", lambda folder, *rest: folder.exists() or make_project(folder, *rest)
    )
    monkeypatch.setattr(contestants, "SEEDS", (0, 1))
    monkeypatch.setattr(cnn, "train", train)
    monkeypatch.setattr("pipeline.training.logistic.PENALTIES", (0.01,))
    return one, trained


def test_each_contestant_and_seed_is_computed_once(things, capsys):
    one, trained = things
    command.main(contestant=CHEAP, datasets=DATASETS, development=True)
    assert trained == [(rate, 0) for rate in cnn.RATES] + [(Parts.of(one).read("choice", 0)["rate"], 1)]
    assert Parts.of(one).seeds("cnn") == [0, 1]
    table = capsys.readouterr().out
    assert "| Things | plain CNN of 4 layers |" in table
    assert not Path("docs").exists()

    command.main(contestant=CHEAP, datasets=DATASETS, development=True)
    assert len(trained) == 3
    Parts.of(one).file("cnn", 1).unlink()
    command.main(contestant=CHEAP, datasets=DATASETS, development=True)
    assert len(trained) == 4

    capsys.readouterr()
    command.main(development=True, as_table=True)
    assert capsys.readouterr().out.splitlines()[0].startswith("| photographs |")


def test_a_part_has_the_split_of_the_project(things):
    one, _ = things
    command.main(contestant=["thumbnails"], datasets=DATASETS, development=True)
    part, images = Parts.of(one).read("thumbnails", 0), Parts.of(one).read_images()
    assert part["settings"]["images"] == images["digest"]
    sizes = {name: len(numbers) for name, numbers in images["numbers"].items()}
    assert sizes == {"id_train": 30, "id_validation": 8, "id_test": 10, "near": 12, "far": 16, "foreign": 10}
    assert len(part["hits"].split()) == 10


def test_a_word_that_is_not_known_is_answered_with_the_nearest():
    with pytest.raises(PipelineError, match=re.escape("'frosen' is no contestant; did you mean 'frozen'?")):
        command.known(["frosen"], contestants.RUNS, "contestant")


def test_nothing_asked_for_is_everything():
    assert command.known(None, ["textures", "cifar"], "folder") == ["textures", "cifar"]
    assert command.known(["cifar"], ["textures", "cifar"], "folder") == ["cifar"]
