"""Images that a training asks for in every epoch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.images.image_set import ImageSet, from_8_bits, resized
from pipeline.memory import empty_table


class HeldPixels:
    """The pixels of images that are asked for again and again: each is read once, and held with 8 bits a value."""

    def __init__(self, images: ImageSet, size: int) -> None:
        self.images, self.size = images, size
        self._held = empty_table((len(images), 3, size, size), np.uint8)
        self._known = np.zeros(len(images), bool)

    def batch(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return the images of `indices` as (n, 3, size, size) in -1..1."""
        for index in indices:
            if not self._known[index]:
                self._held[index] = resized(self.images.read(index), self.size).transpose(2, 0, 1)
                self._known[index] = True
        return from_8_bits(self._held[list(indices)])
