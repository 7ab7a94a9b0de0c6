"""A view depends on seed, image and number alone, and shows what the image shows."""

import numpy as np
import pytest
from PIL import Image

from pipeline.latents.augmentation import ViewKey, view
from pipeline.params.encode import AugmentationParams

PLAIN = {"smallest_crop": 1.0, "flip": 0.0, "colour": 0.0, "gray": 0.0}
KEY = ViewKey(0, 3, 1)


def picture(width=40, height=30):
    """Red grows to the right, green downwards."""
    down, right = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([right * 255 // width, down * 255 // height, 0 * right], 2).astype(np.uint8))


def seen(key=KEY, image=None, size=16, **changes):
    return view(image or picture(), size, AugmentationParams(**(PLAIN | changes)), key).astype(int)


@pytest.mark.parametrize("changes", [{"smallest_crop": 0.3}, {"flip": 0.5}, {"colour": 0.5}, {"gray": 0.5}])
def test_it_follows_its_key_and_nothing_else(changes):
    keys = [ViewKey(seed, image, number) for seed in (0, 1) for image in (0, 1, 2) for number in (0, 1, 2)]
    views = [seen(key, **changes) for key in keys]
    again = [seen(key, **changes) for key in reversed(keys)][::-1]
    assert all((one == other).all() for one, other in zip(views, again, strict=True))
    assert len({one.tobytes() for one in views}) > 1


@pytest.mark.parametrize("number", range(20))
def test_a_crop_keeps_at_least_its_share_and_the_order_of_places(number):
    found = seen(ViewKey(0, 0, number), smallest_crop=0.5)
    red, green = found[8, :, 0], found[:, 8, 1]
    assert (np.diff(red) >= 0).all()
    assert (np.diff(green) >= 0).all()
    covered = (red[-1] - red[0]) * (green[-1] - green[0]) / (240 * 240)
    assert covered > 0.5 * 0.8  # bicubic edges are not the whole range


def test_a_flip_mirrors():
    assert (seen(flip=1.0) == seen(flip=0.0)[:, ::-1]).all()


def test_a_gray_view_has_equal_colours():
    found = seen(gray=1.0)
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 1] == found[..., 2]).all()


def test_without_any_change_only_the_aspect_differs_a_little():
    difference = np.abs(seen() - np.asarray(picture().resize((16, 16), Image.Resampling.BICUBIC)))
    assert difference.mean() < 12
