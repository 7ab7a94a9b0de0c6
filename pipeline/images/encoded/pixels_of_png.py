"""Read the pixels of a PNG file without its metadata: a fault of a text or a colour profile is no fault of the pixels.

Checksums of all chunks that say something about pixels are compared. Pillow does not compare those of pixel data.
"""

import struct
import zlib
from io import SEEK_CUR, BytesIO
from typing import Any, BinaryIO

from pipeline.images.encoded.no_picture import DAMAGED, NO_IMAGE, NoPictureError, require_size
from pipeline.images.encoded.pixel_data import (
    MOST_METADATA_BYTES,
    PixelData,
    most_bytes,
    read_exactly,
    require_bytes,
    require_parts,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
XMP, EXIF_TEXT = "XML:com.adobe.xmp", "Raw profile type exif"
"""Keywords of texts with an orientation."""
EXIF_START = b"Exif\0\0"
GRAY, RGB = 0, 2  # types of colour that may have one transparent colour


def pixels_of_png(stream: BinaryIO, largest_pixels: int) -> PixelData:
    """Return the PNG file in a stream with nothing but its first picture, and what tells its orientation.

    Raises NoPictureError when a chunk of pixels is damaged, or when there are more than `largest_pixels`.
    """
    chunks, orientation = [SIGNATURE], dict[str, Any]()
    read_exactly(stream, len(SIGNATURE))
    header, most, size, number = b"", 0, 0, 0
    while len(start := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", start)
        number += 1
        require_parts(number)
        if name == b"IEND":
            break
        if not header:
            header = _header(stream, name, length)
            width, height = struct.unpack(">II", header[:8])
            require_size(width, height, largest_pixels)
            most = most_bytes(width, height)
            chunks.append(_chunk(name, header))
        elif name in PIXEL_CHUNKS:
            body = _pixel_chunk(stream, name, length, most)
            size += length
            require_bytes(size, most)
            chunks.append(_chunk(name, _for_pillow(header, name, body)))
        elif name in (b"eXIf", *TEXT_CHUNKS) and length <= MOST_METADATA_BYTES:
            _add_orientation(orientation, name, stream.read(length))
            stream.seek(4, SEEK_CUR)
        else:
            stream.seek(length + 4, SEEK_CUR)
    if not header:
        raise NoPictureError(NO_IMAGE, "the start of a PNG file, and nothing more")
    return PixelData(BytesIO(b"".join([*chunks, _chunk(b"IEND", b"")])), orientation)


def _header(stream: BinaryIO, name: bytes, length: int) -> bytes:
    if (name, length) != (b"IHDR", 13):
        raise NoPictureError(DAMAGED, "no header at the start of the file")
    return _pixel_chunk(stream, name, length, length)


def _pixel_chunk(stream: BinaryIO, name: bytes, length: int, most: int) -> bytes:
    require_bytes(len(body := read_exactly(stream, min(length, most + 1))), most)
    if read_exactly(stream, 4) != _checksum(name, body):
        raise NoPictureError(DAMAGED, f"wrong checksum of chunk {name.decode()}")
    return body


def _for_pillow(header: bytes, name: bytes, body: bytes) -> bytes:
    """Return a chunk of pixels; a transparent colour is scaled to the 8 bits to which Pillow scales the pixels."""
    if name == b"IHDR":
        raise NoPictureError(DAMAGED, "two headers")
    bits, colour = header[8], header[9]
    if name != b"tRNS" or len(body) % 2:
        return body
    levels = struct.unpack(f">{len(body) // 2}H", body)
    if colour == GRAY and bits in (2, 4):
        levels = tuple(level * 255 // (2**bits - 1) for level in levels)
    elif colour == RGB and bits == 16:
        levels = tuple(level >> 8 for level in levels)
    return struct.pack(f">{len(levels)}H", *levels)


def _add_orientation(orientation: dict[str, Any], name: bytes, body: bytes) -> None:
    """Add what Pillow's `info` would have for metadata with an orientation; of several the first counts."""
    keyword, _, rest = body.partition(b"\0")
    if name == b"eXIf":
        orientation.setdefault("exif", EXIF_START + body)
    elif name == b"iTXt" and keyword == XMP.encode() and rest[:1] == b"\0":
        orientation.setdefault(XMP, rest.decode("utf-8", "replace"))
    elif name != b"iTXt" and keyword == EXIF_TEXT.encode() and EXIF_TEXT not in orientation:
        orientation[EXIF_TEXT] = (_inflated(rest[1:]) if name == b"zTXt" else rest).decode("latin-1")


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, MOST_METADATA_BYTES)
    except zlib.error:
        return b""


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + _checksum(name, body)


def _checksum(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
