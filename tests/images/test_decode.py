"""A file becomes the picture that a person sees in it, or is no picture for a reason that can be counted."""

import warnings
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.images.decode import decode, quiet
from pipeline.images.encoded.no_picture import NoPictureError
from tests.images.odd import LARGEST, bad_files, encoded, exif, good_files, picture, sixteen_bits

READERS = ("no image", "damaged", "too large", "too much work", "unsupported pixels")
UNREADABLE = {name: of for name, of in bad_files().items() if of[1] in READERS}


def decoded(content, largest=LARGEST):
    with quiet():
        return decode(BytesIO(content), largest)


def values(image):
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("name", good_files())
def test_every_odd_picture_becomes_rgb(name):
    assert decoded(good_files()[name]).mode == "RGB"


@pytest.mark.parametrize("name", UNREADABLE)
def test_every_file_that_is_no_picture_has_its_reason(name):
    content, reason = UNREADABLE[name]
    with pytest.raises(NoPictureError) as caught:
        decoded(content)
    assert caught.value.reason == reason
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_plain_picture_is_as_it_was(kind):
    np.testing.assert_array_equal(values(decoded(encoded(picture(0), kind))), values(picture(0)))


def test_what_is_transparent_shows_white():
    image = Image.new("RGBA", (3, 1), (10, 20, 30, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    image.putpixel((2, 0), (0, 0, 0, 51))
    assert values(decoded(encoded(image)))[0].tolist() == [[255, 255, 255], [10, 20, 30], [204, 204, 204]]


def test_a_transparent_colour_shows_white():
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    image.putpixel((0, 0), (1, 2, 3))
    assert values(decoded(encoded(image, transparency=(1, 2, 3))))[0].tolist() == [[255, 255, 255], [10, 20, 30]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_of_16_bits_the_upper_8_count(kind):
    wanted = np.asarray(sixteen_bits(0)) // 256
    found = values(decoded(encoded(sixteen_bits(0), kind)))
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], wanted)


def upright_oracle(stored, orientation):
    """Place every stored pixel as the EXIF standard says where its row 0 and column 0 are."""
    high, wide, _ = stored.shape
    shape = (wide, high, 3) if orientation >= 5 else stored.shape
    shown = np.zeros(shape, int)
    for y in range(high):
        for x in range(wide):
            places = {
                1: (y, x), 2: (y, wide - 1 - x), 3: (high - 1 - y, wide - 1 - x), 4: (high - 1 - y, x),
                5: (x, y), 6: (x, high - 1 - y), 7: (wide - 1 - x, high - 1 - y), 8: (wide - 1 - x, y),
            }  # fmt: skip
            shown[places[orientation]] = stored[y, x]
    return shown


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_a_rotated_picture_is_shown_upright(kind, options, orientation):
    stored = encoded(picture(0), kind, exif=exif(orientation), **options)
    np.testing.assert_array_equal(values(decoded(stored)), upright_oracle(values(picture(0)), orientation))


@pytest.mark.parametrize("orientation", [0, 9, 99])
def test_an_orientation_that_means_nothing_changes_nothing(orientation):
    np.testing.assert_array_equal(values(decoded(encoded(picture(0), exif=exif(orientation)))), values(picture(0)))


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_of_several_pictures_it_is_the_first(kind, options):
    first, second = picture(0), picture(1)
    alone = decoded(encoded(first, kind, **options))
    both = decoded(encoded(first, kind, save_all=True, append_images=[second], **options))
    np.testing.assert_allclose(values(both), values(alone), atol=40)  # GIF chooses another palette for two
    assert abs(values(both) - values(second)).mean() > abs(values(both) - values(first)).mean()


def test_the_largest_size_is_still_read():
    content = encoded(picture(0, size=(100, 50)))
    assert decoded(content, 5000).size == (100, 50)
    with pytest.raises(NoPictureError, match=r"too large \(100 x 50 pixels, wanted at most 4,999\)"):
        decoded(content, 4999)


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(NoPictureError, match="too large"):
        decoded(UNREADABLE["warned of.png"][0])


def test_a_disk_that_fails_is_no_damaged_picture():
    class Broken(BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        decode(Broken(encoded(picture(0))), LARGEST)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(good_files())), data=st.data())
def test_a_file_changed_anywhere_is_a_picture_or_has_a_reason(name, data):
    content = bytearray(good_files()[name])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        found = decoded(bytes(content)).mode
    except NoPictureError as error:
        found = error.reason
    assert found in ("RGB", *READERS)


def test_warnings_of_others_are_not_kept_quiet():
    with pytest.warns(UserWarning, match="ours"), quiet():
        warnings.warn("ours", UserWarning, stacklevel=1)
