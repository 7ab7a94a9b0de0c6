"""Scan a table of encoded images once: which rows are pictures, with which content, and why others are not.

The result is cached under `.work/images/`, like that of a folder. The cache is used while the files of the table have
the same names, sizes and times, and the code of the scan, the versions of Pillow and pillow-heif, and the
formats that they read are the same.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from pydantic import BaseModel, ConfigDict

from pipeline.images.decode import DECODING, decode, quiet
from pipeline.images.encoded.deep_gray import is_faint
from pipeline.images.encoded.no_picture import NoPictureError
from pipeline.images.formats import readable_formats
from pipeline.images.image_set import content_hash
from pipeline.images.prefetch import prefetch
from pipeline.images.scan_cache import keep_scan, read_scan, scan_state
from pipeline.images.table import Table
from pipeline.runtime.errors import ImageFileError
from pipeline.runtime.files import digest, json_bytes
from pipeline.runtime.progress import progress

ROWS, PROBLEMS = 20, 5
"""Largest numbers of rows of a problem, and of problems, that an error names."""
NO_BYTES, NO_FILE = "no bytes", "no file of the dataset"


class BadRow(NamedTuple):
    """A row without a usable image or label: a `reason`, by which rows are counted, and a `detail`."""

    row: int
    reason: str
    detail: str

    def __str__(self) -> str:
        """Return what is wrong, without the row."""
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


class TableScan(BaseModel):
    """The content hash of every row, 0 for bad ones; and the bad rows in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contents: tuple[int, ...]
    bad: tuple[BadRow, ...]
    faint: int


def row_picture(encoded: bytes | None, largest_pixels: int) -> Image.Image:
    """Return the picture in a row as `decode` does; raises NoPictureError."""
    if encoded is None:
        raise NoPictureError(NO_BYTES, "")
    return decode(BytesIO(encoded), largest_pixels)


def unusable_rows(where: Path | str, column: str, bad: Sequence[BadRow]) -> ImageFileError:
    """Return the error that names rows without an image, by what is wrong with them."""
    rows: dict[str, list[int]] = {}
    for row in bad:
        rows.setdefault(str(row), []).append(row.row)
    named = [f"{problem} in row{'s' * (len(of) > 1)} {named_rows(of)}" for problem, of in list(rows.items())[:PROBLEMS]]
    more = f" and {len(rows) - PROBLEMS} other problems" if len(rows) > PROBLEMS else ""
    advice = (
        "Fetch the images again, write them again without such rows, or set the source's `on_bad_image` to skip in "
        "params.yaml to leave them out."
    )
    found = f"{'; '.join(named)}{more} (the first is 0) of column {column!r}"
    return ImageFileError(where, found, f"an image ({', '.join(readable_formats())})", advice)


def named_rows(rows: Sequence[int]) -> str:
    """Return row numbers as errors name them."""
    more = f" and {len(rows) - ROWS:,} more" if len(rows) > ROWS else ""
    return ", ".join(map(str, rows[:ROWS])) + more


def row_counts(
    tables: Sequence[tuple[Table, TableScan, Sequence[BadRow]]],
    parts: dict[str, int],
    *,
    listed: bool,
) -> dict[str, Any]:
    """Return how many rows were found: those in the parts, before any limit, plus those skipped, by reason.

    listed: add the numbers of skipped rows; one part of a source lists them for all parts.
    """
    bad = [(f"{table.where}, row {row.row}", row) for table, _, rows in tables for row in rows]
    contents = [content for _, scan, rows in tables for content in _usable(scan, rows)]
    counts: dict[str, Any] = {
        "unit": "rows",
        "digest": digest(json_bytes([contents, [[name, row.reason] for name, row in bad]])),
        "found": sum(len(table) for table, _, _ in tables),
        "parts": parts,
        "repeated": len(contents) - len(set(contents)),
        "skipped": dict(sorted(Counter(row.reason for _, row in bad).items())),
    }
    if faint := sum(scan.faint for _, scan, _ in tables):
        counts["faint"] = faint
    if listed:
        counts["skipped_files"] = {
            reason: [name for name, row in bad if row.reason == reason] for reason in counts["skipped"]
        }
    return counts


def _usable(scan: TableScan, bad: Sequence[BadRow]) -> list[int]:
    skipped = {found.row for found in bad}
    return [content for row, content in enumerate(scan.contents) if row not in skipped]


def scan_table(table: Table, column: str, largest_pixels: int) -> TableScan:
    """Return the scan of all rows of a table, from the cache if its files have not changed."""
    state = scan_state([table.state(), column, largest_pixels], (*DECODING, content_hash, scan_table))
    cache_file = f"{digest(json_bytes([str(table.where), column]))[:16]}.table.json"
    if (cached := read_scan(cache_file, state, TableScan)) is not None:
        return cached
    scan = _scanned(table, column, largest_pixels)
    keep_scan(cache_file, state, scan)
    return scan


def _scanned(table: Table, column: str, largest_pixels: int) -> TableScan:
    contents, bad, faint = [0] * len(table), list[BadRow](), 0
    check = partial(_checked, largest_pixels)
    with quiet(), progress(f"looking through {table.where}, rows", len(table)) as advance:
        for row, found in enumerate(prefetch(check, table.each_image(column))):
            if isinstance(found, NoPictureError):
                bad.append(BadRow(row, found.reason, found.detail))
            else:
                contents[row] = found[0]
                faint += found[1]
            advance(1)
    return TableScan(contents=tuple(contents), bad=tuple(bad), faint=faint)


def _checked(largest_pixels: int, encoded: Callable[[], bytes | None]) -> tuple[int, bool] | NoPictureError:
    """Return the content hash of a picture and whether it is faint, or why it is no picture."""
    try:
        picture = row_picture(encoded(), largest_pixels)
    except NoPictureError as error:
        return error
    except ImageFileError as error:
        return NoPictureError(NO_FILE, str(error))
    return content_hash(picture), is_faint(picture)
