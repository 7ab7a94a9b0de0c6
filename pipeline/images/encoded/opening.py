"""Open an encoded image such that only its pixels and its orientation decide whether it is a picture.

Pillow refuses a file when its text, colour profile or resolution is faulty. So it is given PNG and JPEG files without
these. Work is bounded too: some small files make a decoder work for hours.
"""

import struct
from collections.abc import Callable, Sequence
from io import SEEK_END
from typing import BinaryIO, NamedTuple

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from pipeline.images.encoded.deep_gray import register_white_is_zero
from pipeline.images.encoded.no_picture import DAMAGED, OTHER_PIXELS, NoPictureError, require_size
from pipeline.images.encoded.pixel_data import PixelData, most_bytes, require_bytes, require_whole_file_fits
from pipeline.images.encoded.pixels_of_jpeg import pixels_of_jpeg
from pipeline.images.encoded.pixels_of_png import pixels_of_png

PIXELS_OF: dict[str, Callable[[BinaryIO, int], PixelData]] = {"PNG": pixels_of_png, "JPEG": pixels_of_jpeg}
"""By format, the function that leaves out everything but pixels and orientation."""
READ_IN_PARTS = ("BMP", "GIF", "TIFF")
"""Other formats of which Pillow does not read the whole file."""
OPENING_ERRORS = (SyntaxError, IndexError, TypeError, struct.error)
"""What Pillow raises when it does not understand a file."""
UNKNOWN_PIXELS = ("unknown pixel mode", "unknown data organization", "-bit layers", "-layer images")
"""Parts of its messages about pixels that it has no mode for."""
RUN_LENGTHS, MOST_RUN_LENGTH_PIXELS = "bmp_rle", 2**24
"""Pillow's name of run lengths in BMP files, and the most such pixels; it decodes them in Python, byte by byte."""
TILE_WIDTH, TILE_LENGTH, STRIP_BYTES, TILE_BYTES = 322, 323, 279, 325  # tags of TIFF


class _Plugin(NamedTuple):
    """Pillow's reader of a format."""

    open: Callable[[BinaryIO, str], Image.Image]
    accept: Callable[[bytes], bool | str] | None


def open_image(stream: BinaryIO, formats: Sequence[str], largest_pixels: int) -> Image.Image:
    """Return the image in a stream, not yet decoded; its `info` tells the orientation as Pillow has it.

    Raises NoPictureError when the image is damaged, too large or too much work, and UnidentifiedImageError when it is
    of none of the formats.
    """
    Image.init()
    register_white_is_zero()
    prefix = stream.read(16)
    for name in formats:
        plugin = _Plugin(*Image.OPEN[name])
        accepted = plugin.accept is not None and plugin.accept(prefix)
        if accepted and not isinstance(accepted, str):  # a text says why Pillow was built without the format
            stream.seek(0)
            image = _opened(name, plugin, stream, largest_pixels)
            require_size(image.width, image.height, largest_pixels)
            if any(tile.codec_name == RUN_LENGTHS for tile in getattr(image, "tile", [])):
                require_size(image.width, image.height, min(MOST_RUN_LENGTH_PIXELS, largest_pixels))
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                _require_little_work(image, stream.seek(0, SEEK_END), largest_pixels)
            return image
    raise UnidentifiedImageError


def _opened(name: str, plugin: _Plugin, stream: BinaryIO, largest_pixels: int) -> Image.Image:
    if name not in PIXELS_OF and name not in READ_IN_PARTS:
        require_whole_file_fits(stream)
    data = PIXELS_OF[name](stream, largest_pixels) if name in PIXELS_OF else PixelData(stream, {})
    try:
        image = plugin.open(data.stream, "")
    except OPENING_ERRORS as error:
        if any(part in str(error) for part in UNKNOWN_PIXELS):
            raise NoPictureError(OTHER_PIXELS, f"{name} with pixels that Pillow does not read: {error}") from error
        if name in PIXELS_OF:
            raise NoPictureError(DAMAGED, f"{name}: {error}") from error
        raise UnidentifiedImageError from error
    image.info.update(data.orientation)
    return image


def _require_little_work(image: TiffImagePlugin.TiffImageFile, file_bytes: int, largest_pixels: int) -> None:
    """Raise NoPictureError for huge tiles, or far more data than pixels, such as one strip many times."""
    require_size(image.tag_v2.get(TILE_WIDTH, 0), image.tag_v2.get(TILE_LENGTH, 0), largest_pixels)
    most = most_bytes(image.width, image.height)
    for tag in (STRIP_BYTES, TILE_BYTES):
        require_bytes(sum(min(count, file_bytes) for count in image.tag_v2.get(tag, ())), most)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for tile in image.tile if (box := tile.extents)]
    require_bytes(sum(areas), most)
