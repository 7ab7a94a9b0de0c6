"""Grays of more than 8 bits: what their levels mean, and whether a picture uses few of them."""

from functools import cache
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from pipeline.images.encoded.no_picture import OTHER_PIXELS, NoPictureError

WHITE_IS_ZERO, BLACK_IS_ZERO, SIGNED = 0, 1, 2  # values of TIFF's tags PhotometricInterpretation and SampleFormat
FAINT = "faint"
"""Name, in Pillow's `info`, of whether the levels of a picture lie within an eighth of their range."""
EIGHTH = 256 // 8


@cache
def register_white_is_zero() -> None:
    """Let Pillow hand over the levels of TIFF files of 12 bits whose zero is white; it knows those whose zero is black.

    It looks the kind of pixels up in a dictionary. `from_deep_gray` turns the levels round.
    """
    kinds = {**TiffImagePlugin.OPEN_INFO}
    for (order, photometric, sample_format, fill, bits, extra), modes in kinds.items():
        if modes == ("I;16", "I;12") and photometric == BLACK_IS_ZERO:
            white = (order, WHITE_IS_ZERO, sample_format, fill, bits, extra)
            TiffImagePlugin.OPEN_INFO.setdefault(white, modes)


def from_deep_gray(image: Image.Image) -> Image.Image:
    """Return a gray image of 12 or 16 bits as RGB: the upper 8 bits of each level, white where it is transparent.

    Of a TIFF file, BitsPerSample says how many bits there are, and PhotometricInterpretation which end is white. Of
    other files, all 16 bits are used.
    """
    levels, tags = np.asarray(image), _tags(image)
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
    gray = (levels >> (bits - 8)).astype(np.uint8)
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO:
        gray = 255 - gray
    is_faint = int(gray.max(initial=0)) - int(gray.min(initial=255)) < EIGHTH
    if isinstance(transparent := image.info.get("transparency"), int):
        gray[levels == transparent] = 255
    picture = Image.fromarray(gray).convert("RGB")
    picture.info[FAINT] = is_faint
    return picture


def is_faint(picture: Image.Image) -> bool:
    """Return whether a decoded picture has more than 8 bits and uses at most an eighth of its levels."""
    return bool(picture.info.get(FAINT))


def require_unsigned(image: Image.Image) -> None:
    """Raise NoPictureError for signed levels; no tag says which of them is black."""
    tags = _tags(image)
    if SIGNED in tags.get(TiffImagePlugin.SAMPLEFORMAT, ()):
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, ("unknown",))[0]
        detail = f"signed levels of {bits} bits, wanted unsigned ones, since no tag says which signed level is black"
        raise NoPictureError(OTHER_PIXELS, detail)


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})
