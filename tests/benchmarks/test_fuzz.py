"""The readers of strangers' files refuse what is broken in their own words; `python -m benchmarks.fuzz` tries more."""

from pathlib import Path

import pytest

from benchmarks.fuzz import FORBIDDEN, fuzz, mutated, readers, replaced, watched
from tests.helpers.make import default_params, write_params


@pytest.fixture
def all_readers():
    write_params(Path(), default_params())
    return {reader.name: reader for reader in readers(Path())}


@pytest.mark.parametrize(
    "name",
    ["image reader", "params.yaml as bytes", "params.yaml by values", "bundle.json as bytes", "bundle.json by values"],
)
def test_nothing_but_its_own_error_comes_out_of_a_reader(all_readers, name):
    _, counts, failures = fuzz(all_readers[name], 200, seed=1)
    assert failures == []
    assert counts["read"] + counts["refused"] == 200
    assert counts["refused"]


def test_a_reader_that_fails_otherwise_is_found(all_readers):
    broken = all_readers["image reader"]._replace(expected=(), read=lambda content: {}[len(content)])
    _, counts, failures = fuzz(broken, 5, seed=0)
    assert counts == {"failed": 5}
    assert "KeyError" in failures[0]


def test_a_reader_that_runs_code_is_found():
    with watched() as seen:
        exec("1")
    assert seen == ["exec"]
    assert "os.system" in FORBIDDEN


def test_inputs_are_the_same_for_the_same_seed():
    import numpy as np

    def drawn():
        rng = np.random.default_rng(3)
        return [mutated(rng, b"abcdefgh" * 9) for _ in range(50)], [
            replaced(rng, {"a": [1, {"b": 2}]}) for _ in range(50)
        ]

    assert drawn() == drawn()
    assert len(set(drawn()[0])) > 40
