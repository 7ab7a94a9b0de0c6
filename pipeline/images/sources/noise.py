"""Images of pure noise: far-OOD images without any structure."""

from typing import Literal

import numpy as np
from PIL import Image

from pipeline.images.image_set import OOD_LABEL, ImageSet
from pipeline.images.sources.base import ALL, ImageLocation, ImageSource
from pipeline.schema.section import Count, Seed


class NoiseSource(ImageSource):
    """Gray images of `pixels` x `pixels`, every pixel uniform and independent."""

    kind: Literal["noise"]
    images: Count
    pixels: Count
    seed: Seed

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the only part."""
        return ALL

    def locations(self) -> dict[str, ImageLocation]:
        """Return no location: noise is drawn."""
        return {}

    def open(self, part: str) -> ImageSet:  # noqa: ARG002  # there is one part only
        """Return gray images whose pixels are uniform in 0..255 and independent."""
        rng = np.random.default_rng(self.seed)
        grays = rng.integers(0, 256, (self.images, self.pixels, self.pixels), np.uint8)
        return ImageSet(np.full(len(grays), OOD_LABEL, np.int32), (), lambda index: Image.fromarray(grays[index]))
