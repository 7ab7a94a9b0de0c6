"""Turn the bytes of an image file into the RGB picture they mean, or say why they are none."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""The usual ones, which Pillow reads by itself; for others it may run other programs."""
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
"""Of 8 bits a channel at most, and with a meaning as RGB that Pillow knows."""
BUFFER_BYTES = 65_536
"""Read at once of a file: the whole of a small one, and never all of whatever a file may turn out to be."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What shows a picture upright, by its EXIF orientation; 1 and anything else leaves it as it is."""

NO_IMAGE, DAMAGED, TOO_LARGE, OTHER_PIXELS = "no image", "damaged", "too large", "unsupported pixels"


class NoPictureError(Exception):
    """Bytes that are no picture: the `reason`, which files are counted by, and the `detail` in other words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason} ({detail})")
        self.reason, self.detail = reason, detail


def decode(stream: BinaryIO, largest_pixels: int) -> Image.Image:
    """Return the picture as RGB of 8 bits a channel, upright.

    Of an animation or of several pages it is the first. What is transparent shows white. Of 16 bits the upper 8 count.
    The EXIF orientation is applied; colour profiles are not. `docs/images.md` has the whole table.
    Raises NoPictureError, for width times height above `largest_pixels` before a pixel is decoded, and the OSError of
    a file that cannot be read.
    """
    try:
        image = Image.open(stream, formats=FORMATS)
        _require_at_most(largest_pixels, image)
        return picture(image)
    except (NoPictureError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise NoPictureError(NO_IMAGE, f"none of {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NoPictureError(TOO_LARGE, _words(error)) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NoPictureError(DAMAGED, _words(error)) from error


def decode_file(file: str | os.PathLike[str], largest_pixels: int) -> Image.Image:
    """Return the picture in a file as `decode` does, and raise what it raises; of a pipe nothing is waited for."""
    with BufferedReader(FileIO(file, opener=_open_at_once), BUFFER_BYTES) as stream:
        return decode(stream, largest_pixels)


def picture(image: Image.Image) -> Image.Image:
    """Return an opened image as `decode` does; raises NoPictureError for pixels without a meaning as RGB."""
    image.load()
    return _upright(image, _rgb(image))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings of odd files off the terminal, until the last thread that is in here leaves."""
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()


class _Silence:
    """Warnings are off while anyone is inside: filters belong to the process, not to a thread."""

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


_silence = _Silence()


def _open_at_once(file: str, flags: int) -> int:
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has neither this nor such pipes


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
    shown = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")


def _upright(image: Image.Image, picture: Image.Image) -> Image.Image:
    """Return `picture` turned as the EXIF data of `image` say; data that cannot be read say nothing."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  # Pillow raises whatever damaged data lead to
        return picture
    return picture if turn is None else picture.transpose(turn)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
