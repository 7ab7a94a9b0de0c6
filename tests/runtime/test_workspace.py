"""Unfinished work is found again under the same conditions only, and becomes the output as the last act."""

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from pipeline.runtime import code
from pipeline.runtime.code import LIBRARIES
from pipeline.runtime.errors import BusyError, MissingInputError
from pipeline.runtime.files import MANIFEST, WORK, write_bytes
from pipeline.runtime.workspace import fingerprint, publish_when_done, warn_of_orphaned_outputs

FACTS = {"batch_size": 4}
OUTPUT = Path("data/out")


def crash_while_writing(name):
    with pytest.raises(ZeroDivisionError), publish_when_done(OUTPUT, FACTS, []) as work:
        write_bytes(work / name, b"half")
        raise ZeroDivisionError


def test_output_appears_only_when_the_body_ends_well():
    crash_while_writing("a")
    assert not OUTPUT.exists()


def test_work_of_a_crashed_run_is_resumed():
    crash_while_writing("a")
    with publish_when_done(OUTPUT, FACTS, []) as work:
        assert (work / "a").read_bytes() == b"half"
    assert (OUTPUT / "a").read_bytes() == b"half"


def test_work_is_resumed_after_the_project_moved(tmp_path, monkeypatch):
    write_bytes(tmp_path / "before/data/in", b"input")
    monkeypatch.chdir(tmp_path / "before")
    with pytest.raises(ZeroDivisionError), publish_when_done(OUTPUT.absolute(), FACTS, [Path("data/in")]) as work:
        write_bytes(work / "a", b"half")
        raise ZeroDivisionError
    (tmp_path / "before").rename(tmp_path / "after")
    monkeypatch.chdir(tmp_path / "after")
    with publish_when_done(OUTPUT, FACTS, [Path("data/in").absolute()]) as work:
        assert (work / "a").read_bytes() == b"half"


def test_work_under_other_parameters_is_not_resumed_and_is_cleaned_up():
    crash_while_writing("a")
    with publish_when_done(OUTPUT, {"batch_size": 5}, []) as work:
        assert list(work.iterdir()) == []
    assert [path.name for path in WORK.glob("*/*")] == ["lock"]


def test_an_old_output_is_replaced_as_a_whole():
    write_bytes(OUTPUT / "old", b"x")
    with publish_when_done(OUTPUT, FACTS, []) as work:
        write_bytes(work / "new", b"y")
    assert {path.name for path in OUTPUT.iterdir()} == {"new", MANIFEST}


def test_an_old_output_is_never_half_there(monkeypatch):
    write_bytes(OUTPUT / "old", b"x")
    deleted, rmtree = [], shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path: (deleted.append(Path(path)), rmtree(path)))
    with publish_when_done(OUTPUT, FACTS, []) as work:
        write_bytes(work / "new", b"y")
    assert len(deleted) == 1
    assert OUTPUT not in deleted


@pytest.mark.parametrize("library", LIBRARIES)
def test_fingerprint_depends_on_the_version_of_every_library_that_computes(monkeypatch, library):
    before = fingerprint(FACTS, [])
    versions = code.version
    monkeypatch.setattr(code, "version", lambda name: "0" if name == library else versions(name))
    assert fingerprint(FACTS, []) != before


def test_fingerprint_depends_on_the_inputs_contents(tmp_path):
    write_bytes(tmp_path / "in" / "file", b"1")
    before = fingerprint(FACTS, [Path("in")])
    write_bytes(tmp_path / "in" / "file", b"2")
    assert fingerprint(FACTS, [Path("in")]) != before


def test_fingerprint_depends_on_the_facts():
    assert fingerprint({"seed": 0}, []) != fingerprint({"seed": 1}, [])


def test_an_input_that_is_not_there_is_named():
    with pytest.raises(MissingInputError, match="models/teacher: not found. Run `dvc repro`"):
        fingerprint(FACTS, [Path("models/teacher")])


@pytest.mark.parametrize("output", ["../beside/out", "out", "a/b/out"])
def test_nothing_but_the_output_and_its_own_work_is_touched(output, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for kept in (Path("beside/kept"), Path("out/kept"), Path("b/kept"), Path("../kept")):
        write_bytes(kept, b"x")
    with pytest.raises(ZeroDivisionError), publish_when_done(Path("other/out"), FACTS, []) as work:
        write_bytes(work / "half", b"x")
        raise ZeroDivisionError
    with publish_when_done(Path(output), FACTS, []) as work:
        write_bytes(work / "new", b"y")
    assert (Path(output) / "new").read_bytes() == b"y"
    assert all(kept.is_file() for kept in (Path("beside/kept"), Path("b/kept"), Path("../kept")))
    assert len(list(WORK.glob("*/*/half"))) == 1


def test_folders_that_nothing_asks_for_are_named(capsys):
    for name in ("mixup", "old"):
        Path("outliers", name).mkdir(parents=True)
    warn_of_orphaned_outputs(Path("outliers"), ["mixup"])
    assert capsys.readouterr().err.startswith(
        "warning: outliers/old is left over, as params.yaml does not name it; delete it"
    )


def test_two_processes_cannot_make_the_same_output():
    busy = pytest.raises(BusyError, match="data/out: another process is making it now")
    with publish_when_done(OUTPUT, FACTS, []), busy, publish_when_done(OUTPUT, FACTS, []):
        pass


def test_a_run_that_is_ending_takes_nothing_from_the_next(monkeypatch):
    lock_it = fcntl.flock

    def lock_when_the_other_has_ended(lock, how):
        for left in Path(lock.name).parent.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
        lock_it(lock, how)

    monkeypatch.setattr(fcntl, "flock", lock_when_the_other_has_ended)
    with publish_when_done(OUTPUT, FACTS, []):
        pass
    assert [path.name for path in OUTPUT.iterdir()] == [MANIFEST]


def test_every_run_is_logged_with_its_end():
    crash_while_writing("a")
    with publish_when_done(OUTPUT, FACTS, []):
        pass
    lines = [json.loads(line) for line in Path("logs/runs.jsonl").read_text().splitlines()]
    assert [line["ended"] for line in lines] == ["error", "ok"]
    assert all(line["versions"]["torch"] and line["seconds"] >= 0 for line in lines)
