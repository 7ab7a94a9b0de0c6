"""How views of an image differ from it; part of the sections `encoder` and `views` of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.schema.section import Section

Share = Annotated[float, Field(ge=0, le=1)]


class ViewParams(Section):
    """Augmentation of images that keeps what they show."""

    smallest_crop: Annotated[float, Field(gt=0, le=1)]
    """Share of the area that a crop has at least; 1 keeps the image whole, up to its aspect."""
    flip: Share
    """Probability of a reflection from left to right; 0 where that changes the class, as with digits."""
    colour: Annotated[float, Field(ge=0, lt=1)]
    """Most that brightness, contrast and saturation change, as a share."""
    gray: Share
    """Probability of a view without colours."""
