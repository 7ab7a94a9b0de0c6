"""The `probe` section of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.config import Section
from pipeline.encode.params import EncodeParams
from pipeline.images.params import DataParams


class ProbeParams(Section):
    """What ID test images go through that must not make outliers of them."""

    jpeg_quality: Annotated[int, Field(ge=1, le=95)]
    """Of Pillow's JPEG encoder, which asks for no more than 95."""


class Params(Section):
    """What this stage reads of params.yaml."""

    data: DataParams
    encode: EncodeParams
    probe: ProbeParams
