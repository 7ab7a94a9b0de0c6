"""Images without any structure: the far end of what a detector may meet."""

import numpy as np
from PIL import Image

from pipeline.images.image_set import UNKNOWN, ImageSet
from pipeline.images.params import NoiseSource


def noise(source: NoiseSource) -> ImageSet:
    """Return gray images whose pixels are uniform in 0..255 and independent."""
    rng = np.random.default_rng(source.seed)
    grays = rng.integers(0, 256, (source.images, source.pixels, source.pixels), np.uint8)
    return ImageSet(np.full(len(grays), UNKNOWN, np.int32), (), lambda index: Image.fromarray(grays[index]))
