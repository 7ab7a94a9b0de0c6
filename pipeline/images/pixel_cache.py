"""Pixels of images that a training reads in every epoch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.image_set import ImageSet, from_8_bits, resized
from pipeline.runtime.memory import empty_table


class PixelCache:
    """Cache of resized images: decoded once, reused every epoch.

    Pixels are cached with 8 bits per value.
    """

    def __init__(self, images: ImageSet, size: int) -> None:
        self.images, self.size = images, size
        self._pixels = empty_table((len(images), 3, size, size), np.uint8)
        self._is_cached = np.zeros(len(images), bool)

    def batch(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return the images of `indices` as (n, 3, size, size) in -1..1."""
        for index in indices:
            self._cache(index)
        return from_8_bits(self._pixels[list(indices)])

    def image(self, index: int) -> Image.Image:
        """Return one image, of RGB."""
        self._cache(index)
        return Image.fromarray(np.ascontiguousarray(self._pixels[index].transpose(1, 2, 0)))

    def _cache(self, index: int) -> None:
        if not self._is_cached[index]:
            self._pixels[index] = resized(self.images.read(index), self.size).transpose(2, 0, 1)
            self._is_cached[index] = True
