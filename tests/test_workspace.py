"""Unfinished work is found again under the same conditions only, and becomes the output as the last act."""

import json
from pathlib import Path

import pytest

from pipeline.encode.params import EncodeParams
from pipeline.files import write_bytes
from pipeline.workspace import WORK, fingerprint, unfinished

PARAMS = EncodeParams(batch_size=4)
OUTPUT = Path("data/out")


def crash_while_writing(name):
    with pytest.raises(ZeroDivisionError), unfinished(OUTPUT, PARAMS, []) as work:
        write_bytes(work / name, b"half")
        raise ZeroDivisionError


def test_output_appears_only_when_the_body_ends_well():
    crash_while_writing("a")
    assert not OUTPUT.exists()


def test_work_of_a_crashed_run_is_resumed():
    crash_while_writing("a")
    with unfinished(OUTPUT, PARAMS, []) as work:
        assert (work / "a").read_bytes() == b"half"
    assert (OUTPUT / "a").read_bytes() == b"half"


def test_work_under_other_parameters_is_not_resumed_and_is_cleaned_up():
    crash_while_writing("a")
    with unfinished(OUTPUT, EncodeParams(batch_size=5), []) as work:
        assert list(work.iterdir()) == []
    assert [path for path in WORK.rglob("*") if path.is_file()] == []


def test_an_old_output_is_replaced_as_a_whole():
    write_bytes(OUTPUT / "old", b"x")
    with unfinished(OUTPUT, PARAMS, []) as work:
        write_bytes(work / "new", b"y")
    assert [path.name for path in OUTPUT.iterdir()] == ["new"]


def test_fingerprint_depends_on_the_inputs_contents(tmp_path):
    write_bytes(tmp_path / "in" / "file", b"1")
    before = fingerprint(PARAMS, [Path("in")])
    write_bytes(tmp_path / "in" / "file", b"2")
    assert fingerprint(PARAMS, [Path("in")]) != before


def test_every_run_is_logged_with_its_end():
    crash_while_writing("a")
    with unfinished(OUTPUT, PARAMS, []):
        pass
    lines = [json.loads(line) for line in Path("logs/runs.jsonl").read_text().splitlines()]
    assert [line["ended"] for line in lines] == ["error", "ok"]
    assert all(line["versions"]["torch"] and line["seconds"] >= 0 for line in lines)
