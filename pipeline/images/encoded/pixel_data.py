"""Read the part of an image file that its pixels are decoded from, and no more bytes than the pixels can need."""

from io import SEEK_END
from typing import Any, BinaryIO, NamedTuple

from pipeline.images.encoded.no_picture import DAMAGED, TOO_MUCH_WORK, NoPictureError

BYTES_PER_PIXEL = 16
"""Largest size of encoded pixels: twice that of four channels of 16 bits without any compression."""
SLACK_BYTES = 2**20
"""Bytes that a picture of any size may have besides, for tables and for an encoder that wastes space."""
MOST_BYTES_AT_ONCE = 2**30
"""Largest file of a format that Pillow reads whole."""
MOST_METADATA_BYTES = 2**22
"""Largest metadata that an orientation is read from."""
MOST_PARTS = 2**20
"""Largest number of chunks or segments of a file. Each costs about a microsecond, however short it is."""


class PixelData(NamedTuple):
    """A stream with a whole image file, and the metadata that tell its orientation, named as in Pillow's `info`."""

    stream: BinaryIO
    orientation: dict[str, Any]


def most_bytes(width: int, height: int) -> int:
    """Return the largest number of bytes that a picture may be decoded from."""
    return BYTES_PER_PIXEL * width * height + SLACK_BYTES


def require_bytes(found: int, most: int) -> None:
    """Raise NoPictureError when a picture is to be decoded from more bytes than it can need."""
    if found > most:
        raise NoPictureError(TOO_MUCH_WORK, f"decoded from {found:,} bytes, wanted at most {most:,}")


def require_parts(found: int) -> None:
    """Raise NoPictureError when a file has too many parts to go through."""
    if found > MOST_PARTS:
        raise NoPictureError(TOO_MUCH_WORK, f"more than {MOST_PARTS:,} parts of a file")


def require_whole_file_fits(stream: BinaryIO) -> None:
    """Raise NoPictureError when a file is too large to be read whole; the stream is at its start afterwards."""
    require_bytes(stream.seek(0, SEEK_END), MOST_BYTES_AT_ONCE)
    stream.seek(0)


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    """Return the next `size` bytes; raises NoPictureError when the file ends before."""
    content = stream.read(size)
    if len(content) < size:
        raise NoPictureError(DAMAGED, "the file ends too early")
    return content
