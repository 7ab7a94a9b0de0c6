"""Images that are asked for in every epoch are read once, and are what they were."""

from dataclasses import replace

import numpy as np

from pipeline.images.pixel_cache import PixelCache
from tests.helpers.make import pixel_batch
from tests.images.test_images import open_set


def test_held_pixels_are_those_of_a_batch_and_read_once():
    images, read = open_set("photographs"), []
    noted = replace(images, read=lambda index: read.append(index) or images.read(index))
    held = PixelCache(noted, 16)
    for rows in ([3, 1, 3], [1, 0], [0, 3]):
        np.testing.assert_array_equal(held.batch(rows), pixel_batch(images, rows, 16))
    assert read == [3, 1, 0]
