"""The formats of image files that are read, and what a file of another format is."""

from functools import cache
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from pipeline.runtime.text.install import install_line

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""The common formats. Pillow reads these itself; for others it may run other programs."""
HEIF = "HEIF"
"""The format of HEIC files, which the extra `heif` reads."""
SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
    ".avif", ".avifs", ".heic", ".heif", ".hif",
)  # fmt: skip
"""Ends of the names of image files, in lower case."""
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
POINTER = b"version https://git-lfs"
START = 32
"""Bytes that tell one kind of file from another."""


@cache
def readable_formats() -> tuple[str, ...]:
    """Return the formats that this installation reads: FORMATS, and HEIF where the extra `heif` is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return FORMATS
    register_heif_opener(thumbnails=False)
    return (*FORMATS, HEIF)


def other_kind(stream: BinaryIO) -> str:
    """Return what a stream is that holds none of the readable formats, as far as its first bytes tell."""
    start = b""
    if stream.seekable():  # a pipe is not
        stream.seek(0)
        start = stream.read(START)
    if start.startswith(POINTER):
        return "a pointer of Git LFS in place of the file; `git lfs pull` fetches it"
    if start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS:
        extra = f"HEIC, which needs the extra: {install_line('heif')}"
        return "damaged HEIC" if HEIF in readable_formats() else extra
    return f"none of {', '.join(readable_formats())}"


def has_known_format(stream: BinaryIO) -> bool:
    """Return whether a stream begins like a file of a readable format, whole or damaged."""
    try:
        with Image.open(stream, formats=readable_formats()):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:  # noqa: BLE001  # Pillow raises whatever damaged data lead to
        return True
