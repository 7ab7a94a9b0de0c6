"""The stage refuses a table of scores that is not of the run its parameters describe."""

from pathlib import Path

import pytest

from pipeline.params.sets import ImageSets
from pipeline.posthoc.table_file import TABLE, write_table
from pipeline.runtime.errors import ParamsError
from stages.score import _read_table
from tests.helpers.make import score_table, section, tiny_params

SCORES = Path("scores")


@pytest.fixture(autouse=True)
def folder():
    SCORES.mkdir()


def read(*ood_sets):
    """Read the table of a run with two seeds, of whose OOD sets only these are left."""
    sets = tiny_params()["data"]["sets"]
    kept = {name: chosen for name, chosen in sets.items() if chosen["group"] == "id" or name in ood_sets}
    return _read_table(Path("params.yaml"), SCORES, (0, 1), section(ImageSets, {"sets": kept}))


def test_a_table_of_these_seeds_and_sets_is_read():
    write_table(SCORES / TABLE, score_table({"noise": 1.0}, seeds=(0, 1)))
    assert read("noise").seeds == (0, 1)


def test_other_seeds_are_refused():
    write_table(SCORES / TABLE, score_table({"noise": 1.0}, seeds=(0, 7)))
    with pytest.raises(ParamsError, match=r"seeds are \[0, 1\], but scores/scores.parquet has \[0, 7\]"):
        read("noise")


def test_a_set_that_was_not_scored_is_refused():
    write_table(SCORES / TABLE, score_table({"noise": 1.0}, seeds=(0, 1)))
    message = "data.sets.photographs is not in scores/scores.parquet; run `dvc repro infer`"
    with pytest.raises(ParamsError, match=message):
        read("noise", "photographs")
