"""Decode the bytes of an image file into an RGB picture, or say why they are not a picture."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.images.formats import other_kind, readable_formats

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
"""Pillow's modes with at most 8 bits per channel that it can convert to RGB."""
LARGEST_PIXELS = 89_478_485
"""Largest width times height. Above it, Pillow itself warns of a decompression bomb."""
BUFFER_BYTES = 65_536
"""Bytes read from a file at once: all of a small file, and never all of a file of unexpected size."""
TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation, the transformation that turns a picture upright; 1 and other values change nothing."""

NO_IMAGE, DAMAGED, TOO_LARGE, OTHER_PIXELS = "no image", "damaged", "too large", "unsupported pixels"


class NoPictureError(Exception):
    """Bytes that are not a picture: a `reason`, by which files are counted, and a `detail` that explains it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason} ({detail})")
        self.reason, self.detail = reason, detail


def decode(stream: BinaryIO, largest_pixels: int) -> Image.Image:
    """Return the picture as RGB with 8 bits per channel, turned upright.

    For an animation or a file with several pages, the first picture is used. Transparent pixels are laid on white. Of
    16 bits per channel the upper 8 are used. The EXIF orientation is applied; colour profiles are not.
    `docs/images.md` has the full table.

    Raises NoPictureError when the bytes are not a picture. Width times height above `largest_pixels` is refused before
    a pixel is decoded. Raises the OSError of a file that cannot be read.
    """
    try:
        image = Image.open(stream, formats=readable_formats())
        _require_at_most(largest_pixels, image)
        return picture(image)
    except (NoPictureError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise NoPictureError(NO_IMAGE, other_kind(stream)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NoPictureError(TOO_LARGE, _one_line(error)) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NoPictureError(DAMAGED, _one_line(error)) from error


def decode_file(file: str | os.PathLike[str], largest_pixels: int) -> Image.Image:
    """Return the picture in a file as `decode` does, with the same errors; a pipe does not block it."""
    with BufferedReader(FileIO(file, opener=_open_without_blocking), BUFFER_BYTES) as stream:
        return decode(stream, largest_pixels)


def picture(image: Image.Image) -> Image.Image:
    """Convert an opened image as `decode` does; raises NoPictureError for pixels that have no meaning as RGB."""
    image.load()
    return _upright(image, _rgb(image))


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Pillow's warnings about odd files until the last thread has left this context."""
    _warning_filter.enter()
    try:
        yield
    finally:
        _warning_filter.leave()


class _WarningFilter:
    """Suppress warnings while any thread is inside: warning filters belong to the process, not to a thread."""

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._filters = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_warning_filter = _WarningFilter()


def _open_without_blocking(file: str, flags: int) -> int:
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has neither this flag nor such pipes


def _require_at_most(pixels: int, image: Image.Image) -> None:
    if image.width * image.height > pixels:
        raise NoPictureError(TOO_LARGE, f"{image.width} x {image.height} pixels, wanted at most {pixels:,}")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode not in MODES:
        raise NoPictureError(OTHER_PIXELS, f"mode {image.mode}, wanted at most 16 bits a channel, gray or colour")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    foreground = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", foreground.size, "white"), foreground).convert("RGB")


def _upright(image: Image.Image, picture: Image.Image) -> Image.Image:
    """Return `picture` turned by the EXIF orientation of `image`; unreadable EXIF data change nothing."""
    try:
        transpose = TRANSPOSES.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  # Pillow raises whatever damaged data lead to
        return picture
    return picture if transpose is None else picture.transpose(transpose)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
