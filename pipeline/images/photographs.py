"""Patches of scikit-learn's two photographs: natural structure, nothing of the ID classes."""

import numpy as np
from PIL import Image

from pipeline.images.image_set import UNKNOWN, ImageSet
from pipeline.images.params import PhotographsSource


def photographs(source: PhotographsSource) -> ImageSet:
    """Return gray patches, cut at random places and sizes and reduced to the pixels of the source."""
    from sklearn.datasets import load_sample_images

    pictures = [Image.fromarray(picture).convert("L") for picture in load_sample_images().images]
    rng = np.random.default_rng(source.seed)
    patches = [_patch(pictures[index % len(pictures)], source, rng) for index in range(source.images)]
    return ImageSet(np.full(len(patches), UNKNOWN, np.int32), (), patches.__getitem__)


def _patch(picture: Image.Image, source: PhotographsSource, rng: np.random.Generator) -> Image.Image:
    side = int(rng.integers(source.smallest_crop, source.largest_crop, endpoint=True))
    left = int(rng.integers(0, picture.width - side, endpoint=True))
    top = int(rng.integers(0, picture.height - side, endpoint=True))
    crop = picture.crop((left, top, left + side, top + side))
    return crop.resize((source.pixels, source.pixels), Image.Resampling.BOX)
