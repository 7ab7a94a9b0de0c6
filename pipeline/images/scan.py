"""Look through a folder of images once: which files are pictures, with what content, and which are not and why.

What was found is kept under `.work/images/`, so that every stage need not decode all files again. It is believed while
the names, sizes and times of all files below the folder are the same, and the code and Pillow that looked, too.
"""

import inspect
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import ImageFileError
from pipeline.files import digest, file_digest, json_bytes, write_json
from pipeline.images.decode import NoPictureError, decode, decode_file, quiet
from pipeline.images.image_set import content_hash
from pipeline.images.listing import UNREADABLE, Bad, File, Listing, list_folder
from pipeline.progress import progress
from pipeline.workspace import WORK

SCANS = WORK / "images"
MOST_THREADS = 8  # each may hold one picture of the largest size, and its decoded copies


class Picture(NamedTuple):
    """A file that is a picture, by its path below the folder."""

    path: str
    content: int  # equal where two files show the same picture
    size: int
    changed: tuple[int, int]


class Scan(BaseModel):
    """What is below a folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folders: tuple[str, ...]
    pictures: tuple[Picture, ...]
    bad: tuple[Bad, ...]


class _Kept(BaseModel):
    """A scan as it is kept, and what it was of; `sha256` is over the spelling of both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    scan: Scan
    sha256: str


def scan_folder(root: Path, largest_pixels: int) -> Scan:
    """Return what is below `root`; every file is decoded unless that was done before and nothing has changed."""
    if not root.is_dir():
        advice = "Put it there, or correct the path in params.yaml; it starts at the project's root."
        raise ImageFileError(root, "no folder", "a folder of images", advice)
    listing = list_folder(root)
    kept = SCANS / f"{digest(os.fsencode(root.absolute()))[:16]}.json"
    of = _state(listing, largest_pixels)
    if (known := _read(kept, of)) is not None:
        return known
    found = _decoded(root, listing, largest_pixels)
    if not any(one.reason == UNREADABLE for one in found.bad):  # perhaps it can be read next time
        write_json(kept, {"of": of, "scan": found.model_dump(mode="json"), "sha256": _seal(of, found)})
    return found


def _state(listing: Listing, largest_pixels: int) -> str:
    """Return a digest of everything that determines a scan but the contents of files."""
    code = [file_digest(Path(inspect.getfile(function))) for function in (decode, content_hash)]
    return digest(json_bytes([listing, largest_pixels, code, version("pillow")]))


def _decoded(root: Path, listing: Listing, largest_pixels: int) -> Scan:
    pictures: list[Picture] = []
    bad = [*listing.bad]
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with (
        quiet(),
        progress(f"looking through {root}, files", len(listing.files)) as advance,
        ThreadPoolExecutor(threads) as pool,
    ):
        for found in pool.map(partial(_checked, root, largest_pixels), listing.files):
            if isinstance(found, Bad):
                bad.append(found)
            else:
                pictures.append(found)
            advance(1)
    return Scan(folders=listing.folders, pictures=tuple(pictures), bad=tuple(sorted(bad)))


def _checked(root: Path, largest_pixels: int, file: File) -> Picture | Bad:
    try:
        content = content_hash(decode_file(root / file.path, largest_pixels))
    except NoPictureError as error:
        return Bad(file.path, error.reason, error.detail)
    except OSError as error:
        return Bad(file.path, UNREADABLE, error.strerror or "no reason given")
    return Picture(file.path, content, file.size, file.changed)


def _read(kept: Path, of: str) -> Scan | None:
    """Return the scan that is kept, or None where there is none, it is damaged or of another state of the folder."""
    try:
        found = _Kept.model_validate_json(kept.read_bytes())
    except (OSError, ValidationError):
        return None
    return found.scan if found.of == of and found.sha256 == _seal(of, found.scan) else None


def _seal(of: str, scan: Scan) -> str:
    return digest(json_bytes([of, scan.model_dump(mode="json")]))
