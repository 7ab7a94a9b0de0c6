"""Pictures drawn by a program, of nothing: far outliers for development, which may see no far set of a final task."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

SIDE = 64
"""Pixels; tables reduce them to the size of their task."""
Pixels = NDArray[np.uint8]


def drawn_pictures(images: int, seed: int) -> Iterator[Image.Image]:
    """Yield so many pictures of SIDE x SIDE in colour, the kinds of `KINDS` in turn."""
    rng = np.random.default_rng(seed)
    for index in range(images):
        yield Image.fromarray(KINDS[index % len(KINDS)](rng))


def _waves(rng: np.random.Generator) -> Pixels:
    """Return stripes of two colours, or a lattice of stripes in two directions."""
    across, down = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE))
    field = np.ones((SIDE, SIDE))
    for _ in range(rng.integers(1, 3)):
        angle, cycles, phase = rng.uniform(0, np.pi), rng.uniform(1, 8), rng.uniform(0, 2 * np.pi)
        field *= np.sin(np.pi * cycles * (across * np.cos(angle) + down * np.sin(angle)) + phase)
    return _between_colours(field, rng)


def _clouds(rng: np.random.Generator) -> Pixels:
    """Return noise blurred so much that blotches of some size are left."""
    field = gaussian_filter(rng.standard_normal((SIDE, SIDE)), rng.uniform(1, SIDE / 8), mode="wrap")
    return _between_colours(field, rng)


def _shapes(rng: np.random.Generator) -> Pixels:
    """Return some polygons of one colour each on plain ground."""
    picture = Image.new("RGB", (SIDE, SIDE), _colour(rng))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(1, 6)):
        corners = rng.uniform(0, SIDE, (rng.integers(3, 7), 2))
        pen.polygon([(float(x), float(y)) for x, y in corners], fill=_colour(rng))
    return np.asarray(picture)


KINDS: tuple[Callable[[np.random.Generator], Pixels], ...] = (_waves, _clouds, _shapes)


def _between_colours(field: NDArray[np.float64], rng: np.random.Generator) -> Pixels:
    """Return a picture whose places lie between two colours, as the field lies between its extremes."""
    first, second = (np.array(_colour(rng), np.float64) for _ in range(2))
    share = ((field - field.min()) / np.ptp(field))[..., None]
    mixed: Pixels = np.round(first + share * (second - first)).astype(np.uint8)
    return mixed


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue
