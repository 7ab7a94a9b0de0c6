"""The readers of strangers' files refuse what is broken in their own words; `python -m benchmarks.fuzz` tries more."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz import watch
from benchmarks.fuzz.__main__ import all_readers
from benchmarks.fuzz.broken import broken_numbers, mutated, replaced
from benchmarks.fuzz.encoders import ENCODERS
from benchmarks.fuzz.folders import Odd, broken_files, write_files
from benchmarks.fuzz.run import fuzz
from benchmarks.fuzz.watch import FORBIDDEN, Peak, limited_addresses, watched
from pipeline.schema.text import plain_yaml
from tests.helpers.make import ROOT, default_params

QUICK = (
    "image reader", "params.yaml as bytes", "params.yaml by values", "bundle.json as bytes", "bundle.json by values",
    "store of latents", "store of outliers", "output of a stage", "images in Parquet", "table of scores as bytes",
    "table of scores by values", "folder of classes", "folder of OOD images",
)  # fmt: skip
BUNDLES = tuple(f"bundle, encoder {kind}" for kind in ENCODERS)


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    photographs = plain_yaml((ROOT / "presets/imagefolder.yaml").read_text())["data"]["sources"]["photos"]
    folder = tmp_path_factory.mktemp("readers")
    return {reader.name: reader for reader in all_readers(folder, default_params(), photographs)}


@pytest.mark.parametrize(("name", "inputs"), [*((name, 100) for name in QUICK), *((name, 12) for name in BUNDLES)])
def test_nothing_but_its_own_error_comes_out_of_a_reader(readers, name, inputs):
    found = fuzz(readers[name], inputs, seed=1)
    assert found.failures == []
    assert found.counts["read"] + found.counts["refused"] == inputs
    assert found.counts["refused"]
    assert found.slowest < watch.SECONDS
    assert found.largest < watch.MEMORY


@pytest.mark.parametrize("name", ["store of latents", "output of a stage", "images in Parquet", *BUNDLES])
def test_some_inputs_are_read_to_the_end(readers, name):
    assert fuzz(readers[name], 40, seed=0).counts["read"]


def test_every_reader_is_tried_here(readers):
    assert set(readers) == {*QUICK, *BUNDLES}


def test_a_reader_that_fails_otherwise_is_found(readers):
    broken = readers["image reader"]._replace(expected=(), read=lambda content: {}[len(content)])
    found = fuzz(broken, 5, seed=0)
    assert found.counts == {"failed": 5}
    assert "KeyError" in found.failures[0]


def test_a_reader_that_runs_code_is_found(readers):
    with watched() as seen:
        exec("1")
    assert seen == ["exec"]
    assert "os.system" in FORBIDDEN
    found = fuzz(readers["image reader"]._replace(read=lambda _: exec("1")), 2, seed=0)
    assert found.failures == ["input 0: led to exec", "input 1: led to exec"]


def test_a_reader_that_takes_too_long_is_found(readers, monkeypatch):
    monkeypatch.setattr("benchmarks.fuzz.run.SECONDS", 0.05)

    def endless(_):
        while True:
            pass

    found = fuzz(readers["image reader"]._replace(read=endless), 1, seed=0)
    assert "HangError" in found.failures[0]


def test_a_reader_that_takes_too_much_memory_is_found(readers, monkeypatch):
    monkeypatch.setattr("benchmarks.fuzz.run.MEMORY", 2**25)
    found = fuzz(readers["image reader"]._replace(read=lambda _: np.ones(2**28, np.uint8).sum()), 1, seed=0)
    assert "bytes of memory" in found.failures[0]
    assert found.largest > 2**25


def test_memory_that_was_given_back_before_does_not_count():
    np.ones(2**27, np.uint8)
    peak = Peak()
    peak.start()
    assert peak.grown() < 2**25


def test_an_array_beyond_the_allowance_is_an_error():
    code = "from tests.benchmarks.test_fuzz import ask_for_too_much; ask_for_too_much()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def ask_for_too_much():
    size = watch.ALLOWANCE + 2**28
    with limited_addresses(), pytest.raises(MemoryError):
        np.empty(size, np.uint8)
    np.empty(size, np.uint8)


def test_inputs_are_the_same_for_the_same_seed():
    tensors = bytes([2, *[0] * 7]) + b"{}" + bytes(80)

    def drawn():
        rng = np.random.default_rng(3)
        files = {"a.json": b'{"a": [1]}', "b.safetensors": tensors}
        return [
            [mutated(rng, b"abcdefgh" * 9) for _ in range(50)],
            [replaced(rng, {"a": [1, {"b": 2}]}) for _ in range(50)],
            [broken_numbers(rng, tensors) for _ in range(50)],
            [broken_files(rng, files) for _ in range(50)],
        ]

    assert drawn() == drawn()
    assert len(set(drawn()[0])) > 40


def test_every_kind_of_odd_file_is_written():
    write_files(Path("odd"), {kind.name: kind for kind in Odd} | {"a/b": b"c"})
    kinds = {path.name for path in Path("odd").iterdir()}
    assert kinds == {kind.name for kind in Odd} | {"a"}
    write_files(Path("odd"), {"d": b""})
    assert [path.name for path in Path("odd").iterdir()] == ["d"]
