"""Augmented views of an image: a crop, a flip, other colours. The view depends on seed, image and number only."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from pipeline.params.encode import AugmentationParams

ASPECT = 4 / 3
"""Most that a crop is stretched to either side, as in Szegedy et al. 2014 (https://arxiv.org/abs/1409.4842)."""
ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


class ViewKey(NamedTuple):
    """What a view is drawn from."""

    seed: int
    image: int
    view: int


def view(
    image: Image.Image, size: int, params: AugmentationParams, key: ViewKey
) -> NDArray[np.uint8]:  # (size, size, 3)
    """Return an augmented view of an RGB image.

    In this order: a crop of a random share of the area and aspect, resized by bicubic interpolation; a flip;
    brightness, contrast and saturation by random factors; gray.
    """
    draw = np.random.default_rng(key)
    seen = image.resize((size, size), Image.Resampling.BICUBIC, box=_crop(image.size, params.smallest_crop, draw))
    flip, gray = draw.random(2)
    if flip < params.flip:
        seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if params.colour:
        for enhancer, factor in zip(ENHANCERS, draw.uniform(1 - params.colour, 1 + params.colour, 3), strict=True):
            seen = enhancer(seen).enhance(factor)
    if gray < params.gray:
        seen = seen.convert("L").convert("RGB")
    return np.asarray(seen)


def _crop(size: tuple[int, int], smallest: float, draw: np.random.Generator) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a crop."""
    share, stretch = draw.uniform(smallest, 1.0), ASPECT ** draw.uniform(-0.5, 0.5)
    sides = np.minimum(np.sqrt(share) * np.array([stretch, 1 / stretch]), 1.0) * size
    corner = draw.random(2) * (size - sides)
    return (*corner.tolist(), *(corner + sides).tolist())
