"""The `encode` and `views` sections of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.schema.section import Count, Section, Seed

Share = Annotated[float, Field(ge=0, le=1)]


class AugmentationParams(Section):
    """Changes of an image that keep what it shows."""

    smallest_crop: Annotated[float, Field(gt=0, le=1)]
    """Share of the area that a crop has at least; 1 keeps the image whole, but for its aspect."""
    flip: Share
    """Probability of a reflection from left to right; 0 where that changes the class, as with digits."""
    colour: Annotated[float, Field(ge=0, lt=1)]
    """Most that brightness, contrast and saturation change, as a share."""
    gray: Share
    """Probability of a view without colours."""


class ViewsParams(AugmentationParams):
    """Augmented encodings of every ID training image, beside the plain one; teachers and detectors learn from them."""

    count: Annotated[int, Field(ge=0, le=1024)]
    """Views of each image; 0 makes none."""
    seed: Seed


class EncodeParams(Section):
    """How images become latents."""

    batch_size: Count
    """Images per forward pass. A parameter, because it may change the last bit of a latent."""
