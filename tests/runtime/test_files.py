"""A file is whole or absent, and the same content is the same bytes."""

import os
import platform
import subprocess
import sys

import pytest

from pipeline.runtime import files


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept"
    files.write_bytes(path, b"old")
    with pytest.raises(TypeError):
        files.write_pieces(path, [b"new", "not bytes"], sync=True)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("sync", [True, False])
def test_pieces_are_written_one_after_the_other(tmp_path, sync):
    files.write_pieces(tmp_path / "a" / "b", (letter for letter in (b"x", memoryview(b"yz"), b"")), sync=sync)
    assert [path.read_bytes() for path in (tmp_path / "a").iterdir()] == [b"xyz"]


def test_partial_files_and_folders_are_neither_listed_nor_kept(tmp_path):
    (tmp_path / "a.1.partial").write_bytes(b"x")
    (tmp_path / "unit.partial").mkdir()
    (tmp_path / "unit.partial" / "inside").write_bytes(b"x")
    files.write_bytes(tmp_path / "b", b"x")
    files.remove_partial_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_what_gone_processes_left_of_a_path_is_deleted_and_nothing_else(tmp_path, gone):
    here, path = platform.node(), tmp_path / "a[1]"
    (tmp_path / f"a[1].{here}.{gone}.partial").mkdir()
    (tmp_path / f"a[1].{here}.{gone}.partial" / "inside").write_bytes(b"x")
    files.partial_path(path).write_bytes(b"x")
    kept = {"a[1]", f"b.{here}.{gone}.partial", f"a[1].{here}.x.partial", f"a[1].elsewhere-{here}.{gone}.partial"}
    kept |= {f"a[1].{here}.{process}.partial" for process in (os.getppid(), 10**30)}
    for name in kept:
        (tmp_path / name).write_bytes(b"x")
    files.remove_abandoned(path)
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_json_is_spelled_in_one_way():
    assert files.json_bytes({"b": 1, "a": [2]}) == files.json_bytes({"a": [2], "b": 1})


def test_json_refuses_nan():
    with pytest.raises(ValueError, match="Out of range"):
        files.json_bytes({"a": float("nan")})


def test_folder_digest_sees_names_and_contents(tmp_path):
    seen = set()
    for name, content in (("a", b"1"), ("a", b"2"), ("b", b"2")):
        folder = tmp_path / str(len(seen))
        files.write_bytes(folder / name, content)
        seen.add(files.folder_digest(folder))
    assert len(seen) == 3
