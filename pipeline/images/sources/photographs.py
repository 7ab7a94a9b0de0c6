"""Patches of scikit-learn's two photographs: images with natural structure that show none of the ID classes."""

from typing import Annotated, Literal, Self

import numpy as np
from PIL import Image
from pydantic import Field, model_validator

from pipeline.images.image_set import OOD_LABEL, ImageSet
from pipeline.images.sources.base import ALL, ImageLocation, ImageSource
from pipeline.schema.section import Count, Seed


class PhotographsSource(ImageSource):
    """Random gray square patches of scikit-learn's two photographs, reduced to `pixels` x `pixels`."""

    kind: Literal["photographs"]
    images: Count
    smallest_crop: Count
    largest_crop: Annotated[int, Field(le=400)]  # the photographs are 427 pixels high
    pixels: Count
    seed: Seed

    @model_validator(mode="after")
    def _crops_are_ordered(self) -> Self:
        if self.smallest_crop > self.largest_crop:
            raise ValueError(f"smallest_crop {self.smallest_crop} is above largest_crop {self.largest_crop}")
        return self

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the only part."""
        return ALL

    def locations(self) -> dict[str, ImageLocation]:
        """Return no location: the photographs come with scikit-learn."""
        return {}

    def open(self, part: str) -> ImageSet:  # noqa: ARG002  # there is one part only
        """Return gray patches with random positions and sizes, reduced to `pixels`."""
        from sklearn.datasets import load_sample_images

        pictures = [Image.fromarray(picture).convert("L") for picture in load_sample_images().images]
        rng = np.random.default_rng(self.seed)
        patches = [_patch(pictures[index % len(pictures)], self, rng) for index in range(self.images)]
        return ImageSet(np.full(len(patches), OOD_LABEL, np.int32), (), patches.__getitem__)


def _patch(picture: Image.Image, source: PhotographsSource, rng: np.random.Generator) -> Image.Image:
    side = int(rng.integers(source.smallest_crop, source.largest_crop, endpoint=True))
    x = int(rng.integers(0, picture.width - side, endpoint=True))
    y = int(rng.integers(0, picture.height - side, endpoint=True))
    crop = picture.crop((x, y, x + side, y + side))
    return crop.resize((source.pixels, source.pixels), Image.Resampling.BOX)
