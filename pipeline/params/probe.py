"""The `probe` section of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.schema.section import Section

PROBES = {"reencoded": "decoded and encoded again", "jpeg": "saved as JPEG"}
"""The probes by name, each with what was done to the ID test images."""


class ProbeParams(Section):
    """What ID test images go through that must not make outliers of them."""

    jpeg_quality: Annotated[int, Field(ge=1, le=95)]
    """Of Pillow's JPEG encoder, which asks for no more than 95."""
