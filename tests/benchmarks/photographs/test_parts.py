"""A part is valid for its settings only, and a damaged one is named."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.photographs.folders import DEVELOPMENT, FINAL
from benchmarks.photographs.parts import Parts
from pipeline.runtime.errors import PipelineError
from tests.benchmarks.photographs.make import COSTS, parts_of, photographs

SETTINGS = {"images": "abc", "rates": [0.1, 0.2]}


@pytest.fixture
def parts():
    found = Parts(Path("parts"))
    found.write("cnn", 1, SETTINGS, COSTS, {"id_accuracy": 0.9})
    return found


def test_a_part_is_valid_for_the_same_settings_and_seed_only(parts):
    assert parts.has("cnn", 1, {"rates": [0.1, 0.2], "images": "abc"})
    assert not parts.has("cnn", 1, SETTINGS | {"rates": [0.1]})
    assert not parts.has("cnn", 2, SETTINGS)
    assert not parts.has("frozen", 1, SETTINGS)


def test_a_part_says_what_it_is_and_what_it_cost(parts):
    found = parts.read("cnn", 1)
    assert (found["contestant"], found["seed"], found["costs"], found["id_accuracy"]) == ("cnn", 1, COSTS, 0.9)
    assert found["hardware"]


def test_seeds_are_those_of_the_contestant(parts):
    for name, seed in (("cnn", 10), ("choice", 0), ("frozen", 0)):
        parts.write(name, seed, SETTINGS, COSTS, {})
    assert parts.seeds("cnn") == [1, 10]
    assert parts.seeds("supervised") == []


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": "another/1"}'])
def test_a_damaged_part_is_named(parts, damage):
    parts.file("cnn", 1).write_bytes(damage)
    with pytest.raises(PipelineError, match=re.escape("parts/cnn-1.json: found")):
        parts.has("cnn", 1, SETTINGS)


def test_a_missing_part_says_what_to_run(parts):
    with pytest.raises(PipelineError, match=re.escape("parts/cnn-7.json: not found; run `python -m benchmarks")):
        parts.read("cnn", 7)


def test_an_image_has_one_number_in_whatever_set_it_is():
    parts = Parts(Path("parts"))
    contents = {"id_test": np.array([-7, 99]), "near": np.array([5, -7, 5])}
    parts.write_images(photographs(), contents)
    numbers = parts.read_images()["numbers"]
    assert {name: of.tolist() for name, of in numbers.items()} == {"id_test": [0, 2], "near": [1, 0, 1]}


def test_images_that_did_not_change_are_not_written_again():
    parts = parts_of({})
    file = parts.folder / "images.json"
    before = file.stat().st_mtime_ns
    parts_of({})
    assert file.stat().st_mtime_ns == before


def test_what_settings_are_chosen_on_lies_outside_the_repository():
    assert all(Parts.of(one).folder.parts[0] == ".work" for one in DEVELOPMENT)
    assert all(Parts.of(one).folder.parts[0] == "benchmarks" for one in FINAL)
