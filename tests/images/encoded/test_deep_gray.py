"""Grays of more than 8 bits are shown as their file says, and faint ones are said to be faint."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipeline.images.decode import decode
from pipeline.images.encoded.deep_gray import is_faint
from pipeline.images.encoded.no_picture import NoPictureError
from tests.images.encoded.test_opening import tiff
from tests.images.odd import encoded

LEVELS = [0, 100, 2000, 4095]
PLAIN, DEFLATE = 1, 8


def gray_tiff(samples, bits, *, zero=1, sample_format=1, compression=PLAIN):
    """Return a TIFF file of one line. zero: 0 means white, 1 black. sample_format: 1 unsigned, 2 signed, 3 float."""
    data = packed(samples, bits)
    data = zlib.compress(data) if compression == DEFLATE else data
    tags = [(256, 1, len(samples)), (257, 1, 1), (258, 1, bits), (259, 1, compression), (262, 1, zero)]
    strip = [(273, 1, 8), (277, 1, 1), (278, 1, 1), (279, 1, len(data)), (339, 1, sample_format)]
    return tiff(tags + strip, data)


def packed(samples, bits):
    if bits == 12:
        return int("".join(f"{level:012b}" for level in samples), 2).to_bytes(len(samples) * 12 // 8, "big")
    return struct.pack(f"<{len(samples)}{ {8: 'B', 16: 'H', 32: 'I'}[bits] }", *samples)


def decoded(content):
    return decode(BytesIO(content), 1000)


def line(content):
    return np.asarray(decoded(content))[0, :, 0].tolist()


@pytest.mark.parametrize("compression", [PLAIN, DEFLATE])
def test_12_bits_fill_the_range(compression):
    assert line(gray_tiff(LEVELS, 12, compression=compression)) == [0, 6, 125, 255]


@pytest.mark.parametrize("compression", [PLAIN, DEFLATE])
def test_a_zero_that_is_white_is_shown_white(compression):
    levels = [16 * level for level in LEVELS]
    assert line(gray_tiff(levels, 16, zero=1, compression=compression)) == [0, 6, 125, 255]
    assert line(gray_tiff(levels, 16, zero=0, compression=compression)) == [255, 249, 130, 0]
    assert line(gray_tiff(LEVELS, 12, zero=0, compression=compression)) == [255, 249, 130, 0]
    assert line(gray_tiff([0, 6, 125, 255], 8, zero=0, compression=compression)) == [255, 249, 130, 0]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (gray_tiff(LEVELS, 16, sample_format=2), "signed levels of 16 bits, wanted unsigned ones"),
        (gray_tiff([0, 1], 8, sample_format=2), "signed levels of 8 bits, wanted unsigned ones"),
        (gray_tiff([0, 1], 32, sample_format=2), "signed levels of 32 bits, wanted unsigned ones"),
        (gray_tiff([0, 1], 32), "mode I, wanted at most 16 bits a channel"),
    ],
)
def test_other_grays_are_refused_for_the_right_reason(content, wanted):
    with pytest.raises(NoPictureError, match=wanted) as caught:
        decoded(content)
    assert caught.value.reason == "unsupported pixels"


def test_12_bits_in_16_are_faint():
    for levels, expected in ((LEVELS, True), ([16 * level for level in LEVELS], False), ([0, 8191], True)):
        found = decoded(encoded(Image.fromarray(np.array([levels], np.uint16))))
        assert (is_faint(found), np.asarray(found)[0, :, 0].tolist()) == (expected, [level >> 8 for level in levels])
    assert not is_faint(decoded(encoded(Image.new("L", (4, 4)))))
