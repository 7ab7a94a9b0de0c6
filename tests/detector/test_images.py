"""A detector sees an image as a person does: turned upright once, and of any size that its user allows."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.detector.images import image_pixels
from pipeline.runtime.errors import ImageFileError, PipelineError
from tests.images.odd import exif, picture


@pytest.fixture
def rotated(tmp_path):
    """A file whose EXIF orientation says that it is to be turned by 90 degrees."""
    picture(0, size=(32, 32)).save(tmp_path / "rotated.png", exif=exif(6))
    return tmp_path / "rotated.png"


def test_a_picture_is_turned_once_however_it_is_given(rotated):
    wanted = image_pixels(rotated, 32)
    opened = Image.open(rotated)
    by_hand = opened.transpose(Image.Transpose.ROTATE_270)
    for image in (opened, by_hand, ImageOps.exif_transpose(opened), np.asarray(by_hand)):
        np.testing.assert_array_equal(image_pixels(image, 32), wanted)
    assert (image_pixels(opened.convert("RGB"), 32) != wanted).any(), "a made picture is taken as it is"


def test_the_limit_of_pixels_is_the_users(rotated, monkeypatch):
    monkeypatch.setenv("LATENT_OUTLIERS_LARGEST_PIXELS", "1023")
    with pytest.raises(ImageFileError, match="too large .32 x 32 pixels, wanted at most 1,023"):
        image_pixels(rotated, 8)
    monkeypatch.setenv("LATENT_OUTLIERS_LARGEST_PIXELS", "1024")
    assert image_pixels(rotated, 8).shape == (8, 8, 3)


@pytest.mark.parametrize("setting", ["0", "many", "-1", "99999999999"])
def test_a_limit_that_is_none_is_refused(rotated, monkeypatch, setting):
    monkeypatch.setenv("LATENT_OUTLIERS_LARGEST_PIXELS", setting)
    with pytest.raises(PipelineError, match=f"LARGEST_PIXELS is '{setting}', wanted a number of pixels"):
        image_pixels(rotated, 8)
