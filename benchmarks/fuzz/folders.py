"""Folders as inputs: their files by name, broken, and written to disk anew for every input."""

import json
import os
import shutil
import socket
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from benchmarks.fuzz.broken import Random, broken_numbers, mutated, replaced
from pipeline.runtime.files import json_bytes


class Odd(Enum):
    """What may lie in place of a file."""

    PIPE = "a named pipe"
    FOLDER = "a folder"
    LINK_OUT = "a link out of the folder"
    LINK_LOOP = "a link to itself"
    LINK_BROKEN = "a link to nothing"
    SOCKET = "a socket"
    SPARSE = "a file of 50 GiB without a byte on disk"


Files = dict[str, bytes | Odd]
ODD_FILES = tuple(Odd)
NAMES = ("extra.partial", "manifest.json", "a/b/c", ".hidden", "ü\n[red]", "zarr.json", "config.json")


def files_of(folder: Path) -> Files:
    """Return the files of a folder by their path in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_files(folder: Path, files: Mapping[str, bytes | Odd]) -> None:
    """Write files to a folder in place of all that is there; one that lies where another is a folder is left out."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _put(path, content)
        except OSError:
            continue


def _put(path: Path, content: bytes | Odd) -> None:
    match content:
        case bytes():
            path.write_bytes(content)
        case Odd.PIPE:
            os.mkfifo(path)
        case Odd.FOLDER:
            path.mkdir()
        case Odd.LINK_OUT:
            path.symlink_to("/etc/hostname")
        case Odd.LINK_LOOP:
            path.symlink_to(path.name)
        case Odd.LINK_BROKEN:
            path.symlink_to("nothing")
        case Odd.SOCKET:
            with socket.socket(socket.AF_UNIX) as place:
                place.bind(str(path))
        case Odd.SPARSE:
            with path.open("wb") as file:
                file.truncate(50 * 2**30)


def broken_files(rng: Random, files: Mapping[str, bytes | Odd]) -> Files:
    """Return files of which one to three are altered, removed, exchanged, or something that is no file; or one more."""
    found = dict(files)
    for _ in range(rng.integers(1, 4)):
        names = list(found)
        name, other = (names[rng.integers(len(names))] for _ in range(2))
        match int(rng.integers(20)):
            case 0 if len(found) > 1:
                del found[name]
            case 1:
                found[name], found[other] = found[other], found[name]
            case 2:
                found[name] = ODD_FILES[rng.integers(len(ODD_FILES))]
            case 3:
                found[NAMES[rng.integers(len(NAMES))]] = found[other]
            case _ if isinstance(content := found[name], bytes):
                found[name] = _altered(rng, name, content)
            case _:
                pass
    return found


def _altered(rng: Random, name: str, content: bytes) -> bytes:
    """Return bytes that are broken as suits the kind of file: values of JSON, numbers of tensors, or just bytes."""
    if name.endswith(".json") and rng.random() < 0.8:
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError):
            return mutated(rng, content)
        return json_bytes(replaced(rng, fields)) if isinstance(fields, dict) and fields else mutated(rng, content)
    if name.endswith(".safetensors") and len(content) > 16 and rng.random() < 0.6:
        return broken_numbers(rng, content)
    return mutated(rng, content)
