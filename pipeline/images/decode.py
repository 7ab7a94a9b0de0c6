"""Decode the bytes of an image file into an RGB picture, or say why they are not a picture."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from typing import BinaryIO

from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.images.encoded.deep_gray import from_deep_gray, require_unsigned
from pipeline.images.encoded.libtiff import SILENT, exchange_handlers
from pipeline.images.encoded.no_picture import DAMAGED, NO_IMAGE, OTHER_PIXELS, NoPictureError
from pipeline.images.encoded.opening import open_image
from pipeline.images.encoded.pixel_data import require_bytes
from pipeline.images.encoded.pixels_of_jpeg import pixels_of_jpeg
from pipeline.images.encoded.pixels_of_png import pixels_of_png
from pipeline.images.encoded.shared_context import SharedContext
from pipeline.images.formats import other_kind, readable_formats
from pipeline.runtime.errors import PipelineError

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
"""Pillow's modes with at most 8 bits per channel that it can convert to RGB."""
LARGEST_PIXELS = 89_478_485
"""Largest width times height where nothing else is said. Above it, Pillow itself would warn of a decompression bomb."""
MOST_PIXELS = 2**31 - 1
"""Largest limit that may be set. Pillow keeps such a picture in 8 GiB, and a conversion takes as much again."""
LIMIT_ENVIRONMENT = "LATENT_OUTLIERS_LARGEST_PIXELS"
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


def decode(stream: BinaryIO, largest_pixels: int) -> Image.Image:
    """Return the picture as RGB with 8 bits per channel, turned upright.

    For an animation or a file with several pages, the first picture is used. Transparent pixels are laid on white. Of
    12 or 16 bits per channel the upper 8 are used. The EXIF orientation is applied; colour profiles are not.
    `docs/images.md` has the full table.

    Raises NoPictureError when the bytes are not a picture. Width times height above `largest_pixels` is refused before
    a pixel is decoded. Raises the OSError of a file that cannot be read.
    """
    try:
        with _limits:
            return picture(open_image(stream, readable_formats(), largest_pixels))
    except (NoPictureError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise NoPictureError(NO_IMAGE, other_kind(stream)) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NoPictureError(DAMAGED, _one_line(error)) from error


def decode_file(file: str | os.PathLike[str], largest_pixels: int) -> Image.Image:
    """Return the picture in a file as `decode` does, with the same errors; a pipe does not block it."""
    with BufferedReader(FileIO(file, opener=_open_without_blocking), BUFFER_BYTES) as stream:
        return decode(stream, largest_pixels)


def default_largest_pixels() -> int:
    """Return the limit in LATENT_OUTLIERS_LARGEST_PIXELS, or LARGEST_PIXELS if it is not set; raises PipelineError."""
    setting = os.environ.get(LIMIT_ENVIRONMENT)
    if not setting:
        return LARGEST_PIXELS
    if not re.fullmatch("[0-9]{1,10}", setting) or not 1 <= int(setting) <= MOST_PIXELS:
        wanted = f"a number of pixels from 1 to {MOST_PIXELS}"
        raise PipelineError(f"{LIMIT_ENVIRONMENT} is {setting!r}, wanted {wanted}. Set it to one, or unset it.")
    return int(setting)


def picture(image: Image.Image, *, turn: bool = True) -> Image.Image:
    """Convert an opened image as `decode` does; raises NoPictureError for pixels that have no meaning as RGB.

    turn: apply the EXIF orientation.
    """
    image.load()
    return _upright(image, _rgb(image)) if turn else _rgb(image)


def quiet() -> SharedContext:
    """Suppress Pillow's warnings about odd files until the last thread has left this context."""
    return _quiet


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def _own_limits() -> Iterator[None]:
    """Suspend Pillow's limit of pixels, as `open_image` has one that may be larger, and libtiff's lines on stderr."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    handlers = exchange_handlers(SILENT)
    try:
        yield
    finally:
        exchange_handlers(handlers)
        Image.MAX_IMAGE_PIXELS = limit


_quiet, _limits = SharedContext(_without_warnings), SharedContext(_own_limits)


def _open_without_blocking(file: str, flags: int) -> int:
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has neither this flag nor such pipes


def _rgb(image: Image.Image) -> Image.Image:
    require_unsigned(image)
    if image.mode.startswith("I;16"):
        return from_deep_gray(image)
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


DECODING = (
    decode, open_image, pixels_of_png, pixels_of_jpeg, require_bytes, from_deep_gray, other_kind, NoPictureError,
)  # fmt: skip
"""A function or class of every module that decides what a file is decoded to."""
