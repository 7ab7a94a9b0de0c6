"""The stage refuses a table of scores that is not of the run its parameters describe."""

from pathlib import Path

import pytest

from pipeline.config import load_params
from pipeline.errors import ParamsError
from pipeline.infer.table import write_table
from pipeline.score import run
from pipeline.score.params import Params
from tests.make import score_table, tiny_params, write_params

TABLE = Path("scores.parquet")


@pytest.fixture
def params():
    return load_params(write_params(Path(), tiny_params()), Params)


def read(params, sets):
    return run._table(Path("params.yaml"), TABLE, params, sets)


def test_a_table_of_these_seeds_and_sets_is_read(params):
    write_table(TABLE, score_table({"noise": 1.0}, seeds=(0, 1)))
    assert read(params, ["noise"]).seeds == (0, 1)


def test_other_seeds_are_refused(params):
    write_table(TABLE, score_table({"noise": 1.0}, seeds=(0, 7)))
    with pytest.raises(ParamsError, match=r"seeds are \[0, 1\], but scores.parquet has \[0, 7\]"):
        read(params, ["noise"])


def test_a_set_that_was_not_scored_is_refused(params):
    write_table(TABLE, score_table({"noise": 1.0}, seeds=(0, 1)))
    with pytest.raises(ParamsError, match="data.sets.photographs is not in scores.parquet; run `dvc repro infer`"):
        read(params, ["noise", "photographs"])
