"""Read the pixels of a JPEG file without its metadata, and count its scans.

A progressive picture is gone through once more for every scan, and a scan may be as short as ten bytes.
"""

import re
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

from pipeline.images.encoded.no_picture import DAMAGED, TOO_MUCH_WORK, NoPictureError, require_size
from pipeline.images.encoded.pixel_data import PixelData, most_bytes, require_parts

SCANS = 20
"""Largest number of scans of a picture of the largest size; smaller ones may have more. Encoders write about ten."""
SCAN_PIXELS = 4096
"""Number of pixels that take as long as the beginning of a scan."""
HEADER_BYTES = 2**26
"""Largest number of bytes before the pixels."""
END, SCAN, JFIF, EXIF, ADOBE = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
METADATA = {*range(0xE0, 0xF0), 0xFE}
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""A marker with a segment, or the end: not a restart or a start, and no byte of pixels."""
EXIF_START, XMP_START = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


class Segment(NamedTuple):
    """A marker, and where its content lies in the file."""

    marker: int
    start: int
    end: int


def pixels_of_jpeg(stream: BinaryIO, largest_pixels: int) -> PixelData:
    """Return the JPEG file in a stream without metadata, and what tells its orientation.

    Raises NoPictureError when it has no pixels, more than `largest_pixels`, or very many scans.
    """
    data = stream.read(HEADER_BYTES)
    kept, orientation, frame = [data[:2]], dict[str, Any](), Segment(0, 0, 0)
    for segment in _segments(data):
        content = data[segment.start : segment.end]
        if segment.marker in FRAMES:
            frame = segment
            require_size(*_size(content), largest_pixels)
        if segment.marker not in METADATA or _decides_colours(segment.marker, content):
            kept.append(struct.pack(">BBH", 0xFF, segment.marker, len(content) + 2) + content)
        elif segment.marker == EXIF:
            _add_orientation(orientation, content)
        if segment.marker == SCAN:
            break
    else:
        raise NoPictureError(DAMAGED, "no pixels")
    size = _size(data[frame.start : frame.end])
    pixels = data[segment.end :] + stream.read(max(most_bytes(*size) - len(data), 0))
    if frame.marker in PROGRESSIVE or data[segment.start] < data[frame.start + 5]:  # colours of a scan, of the frame
        _require_few_scans(pixels, size, largest_pixels)
    return PixelData(BytesIO(b"".join([*kept, pixels])), orientation)


def _segments(data: bytes, start: int = 2) -> Iterator[Segment]:
    """Yield the segments from `start` on, until the end of the picture or of the data."""
    number = 0
    while (found := MARKER.search(data, start)) and found[1][0] != END:
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        start = found.end() + max(length, 2)
        if start > len(data):
            return
        number += 1
        require_parts(number)
        yield Segment(found[1][0], found.end() + 2, start)


def _size(frame: bytes) -> tuple[int, int]:
    """Return width and height."""
    if len(frame) < 6:
        raise NoPictureError(DAMAGED, "no size")
    height, width = struct.unpack(">HH", frame[1:5])
    return width, height


def _require_few_scans(pixels: bytes, size: tuple[int, int], largest_pixels: int) -> None:
    """Raise NoPictureError when the scans of a picture are more work than SCANS of the largest picture."""
    scans = 1 + sum(segment.marker == SCAN for segment in _segments(pixels, 0))
    most = SCANS * largest_pixels // (size[0] * size[1] + SCAN_PIXELS)
    if scans > max(most, SCANS):
        found = f"{scans:,} scans of {size[0]} x {size[1]} pixels"
        raise NoPictureError(TOO_MUCH_WORK, f"{found}, wanted at most {max(most, SCANS):,}")


def _decides_colours(marker: int, content: bytes) -> bool:
    """Return whether a decoder looks into this metadata to know what the channels mean."""
    return (marker == JFIF and content.startswith(b"JFIF\0") and len(content) >= 14) or (
        marker == ADOBE and content.startswith(b"Adobe") and len(content) >= 12
    )


def _add_orientation(orientation: dict[str, Any], content: bytes) -> None:
    """Add what Pillow's `info` would have for metadata with an orientation."""
    if content.startswith(EXIF_START):
        orientation["exif"] = orientation.get("exif", EXIF_START) + content[len(EXIF_START) :]
    elif content.startswith(XMP_START):
        orientation["xmp"] = content[len(XMP_START) :]
