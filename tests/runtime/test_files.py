"""A file is whole or absent, and the same content is the same bytes."""

import errno
import os
import platform
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.runtime import files


def test_the_bytes_of_a_folder_are_those_of_all_files_below(tmp_path):
    (tmp_path / "below/deeper").mkdir(parents=True)
    for name, size in (("a", 3), ("below/b", 40), ("below/deeper/c", 500)):
        (tmp_path / name).write_bytes(bytes(size))
    assert files.folder_bytes(tmp_path) == 543


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


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_bytes(tmp_path / "metrics.json", b"{}")
    assert list(tmp_path.iterdir()) == []


def test_the_next_write_deletes_what_a_killed_one_left_and_nothing_else(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = tmp_path / f"metrics.json.{platform.node()}.{int(ended.stdout)}.partial"
    running, other = (tmp_path / f"{name}.{platform.node()}.1.partial" for name in ("metrics.json", "guard.json"))
    for path in (left, running, other):
        path.write_bytes(b"half")
    files.write_json(tmp_path / "metrics.json", {})
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", running.name, other.name}


def test_folder_digest_sees_names_and_contents(tmp_path):
    seen = set()
    for name, content in (("a", b"1"), ("a", b"2"), ("b", b"2")):
        folder = tmp_path / str(len(seen))
        files.write_bytes(folder / name, content)
        seen.add(files.folder_digest(folder))
    assert len(seen) == 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder/deep").mkdir(parents=True)
    Path("folder/file").write_bytes(b"content")
    Path("folder/deep/link").symlink_to("../file")
    Path("elsewhere").symlink_to("folder")
    return Path("folder")


def read_in(folder, name, size=None):
    with files.open_regular(folder / name, inside=folder, size=size) as file:
        return file.read()


def test_a_regular_file_is_opened_also_through_links_that_stay_inside(folder):
    assert [read_in(folder, name) for name in ("file", "deep/link", "deep/../file")] == [b"content"] * 3
    assert read_in(Path("elsewhere"), "file", 7) == read_in(folder.absolute(), "deep/link", 7) == b"content"


@pytest.mark.parametrize(
    "place", [f"cache/files/md5/ab/{'c' * 30}", f"hub/blobs/{'d' * 40}", f"hub/models--a/blobs/{'e' * 64}"]
)
def test_links_to_objects_of_the_caches_of_dvc_and_of_the_hub_are_followed(folder, place):
    files.write_bytes(Path(place), b"object")
    (folder / "object").symlink_to(Path(place).absolute())
    assert read_in(folder, "object") == b"object"


@pytest.mark.parametrize(
    "target", ["../secret", "/etc/hostname", "/dev/zero", "../folder2/file", f"../blobs/{'d' * 40}/more", "../blobs/x"]
)
def test_what_leads_out_of_the_folder_is_refused_whether_it_is_there_or_not(folder, target):
    (folder / "link").symlink_to(target)
    with pytest.raises(OSError, match=r"a link to /\S+, wanted a file inside folder"):
        read_in(folder, "link")
    with pytest.raises(OSError, match="a link to .*secret, wanted a file inside folder"):
        read_in(folder, "../secret")


def test_what_is_no_regular_file_is_refused_without_waiting(folder):
    os.mkfifo(folder / "pipe")
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind("folder/socket")
        (folder / "loop").symlink_to("loop")
        with pytest.raises(OSError, match="a named pipe, wanted a regular file"):
            read_in(folder, "pipe")
        for name in ("deep", "socket", "loop", "absent", "null\0", "x" * 300):  # the system refuses these
            with pytest.raises(OSError, match=name.rstrip("\0")):
                read_in(folder, name)


def test_a_file_of_another_size_than_promised_is_refused_before_it_is_read(folder):
    with (folder / "sparse").open("wb") as file:
        file.truncate(50 * 2**30)
    with pytest.raises(OSError, match="53,687,091,200 bytes, wanted 7"):
        read_in(folder, "sparse", 7)
