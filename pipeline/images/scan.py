"""Scan a folder of images once: which files are pictures, with which content, and why others are not.

The result is cached under `.work/images/`, so that not every stage has to decode all files again. The cache is used
while the names, sizes and times of all files below the folder are the same, and so are the code of the scan, the
versions of Pillow and pillow-heif and the formats that they read.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from pipeline.images.decode import DECODING, decode_file, quiet
from pipeline.images.encoded.deep_gray import is_faint
from pipeline.images.encoded.no_picture import NoPictureError
from pipeline.images.image_set import content_hash
from pipeline.images.listing import UNREADABLE, File, Listing, RejectedFile, list_folder
from pipeline.images.scan_cache import keep_scan, read_scan, scan_state
from pipeline.runtime.errors import ImageFileError
from pipeline.runtime.files import digest
from pipeline.runtime.outputs import run_by_dvc
from pipeline.runtime.progress import progress

MOST_THREADS = 8  # each may hold one picture of the largest size, and its decoded copies


class Picture(NamedTuple):
    """A file that is a picture, by its path below the folder."""

    path: str
    content: int  # content hash: equal for two files that show the same picture
    size: int
    changed: tuple[int, int]
    faint: bool = False  # whether it uses at most an eighth of its more than 256 levels


class Scan(BaseModel):
    """The folders, pictures and other files below a folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folders: tuple[str, ...]
    pictures: tuple[Picture, ...]
    bad: tuple[RejectedFile, ...]


def scan_folder(root: Path, largest_pixels: int) -> Scan:
    """Return the scan of the files below `root`, from the cache if the folder has not changed."""
    if not root.is_dir():
        advice = "Put it there, or correct the path."
        if run_by_dvc():
            advice += " `dvc exp run --temp` and `--queue` want `--copy-paths data/images` for what git ignores."
        raise ImageFileError(root, "no folder", "a folder of images", advice)
    listing = list_folder(root)
    cache_file = f"{digest(os.fsencode(os.path.relpath(root)))[:16]}.json"
    state = scan_state([listing, largest_pixels], (*DECODING, content_hash, scan_folder))
    if (cached := read_scan(cache_file, state, Scan)) is not None:
        return cached
    scan = _decoded(root, listing, largest_pixels)
    if not any(file.reason == UNREADABLE for file in scan.bad):  # perhaps it can be read next time
        keep_scan(cache_file, state, scan)
    return scan


def _decoded(root: Path, listing: Listing, largest_pixels: int) -> Scan:
    pictures: list[Picture] = []
    bad = [*listing.bad]
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with (
        quiet(),
        progress(f"looking through {root}, files", len(listing.files)) as advance,
        ThreadPoolExecutor(threads) as pool,
    ):
        for result in pool.map(partial(_checked, root, largest_pixels), listing.files):
            if isinstance(result, RejectedFile):
                bad.append(result)
            else:
                pictures.append(result)
            advance(1)
    return Scan(folders=listing.folders, pictures=tuple(pictures), bad=tuple(sorted(bad)))


def _checked(root: Path, largest_pixels: int, file: File) -> Picture | RejectedFile:
    try:
        picture = decode_file(root / file.path, largest_pixels)
    except NoPictureError as error:
        return RejectedFile(file.path, error.reason, error.detail)
    except OSError as error:
        return RejectedFile(file.path, UNREADABLE, error.strerror or "no reason given")
    return Picture(file.path, content_hash(picture), file.size, file.changed, is_faint(picture))
