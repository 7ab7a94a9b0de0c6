"""The `encode` section of params.yaml."""

from pipeline.params.views import ViewsParams
from pipeline.schema.section import Count, PartOfSection, Section


class EncodeParams(Section):
    """How images become latents."""

    batch_size: Count
    """Images per forward pass. A parameter, because it may change the last bit of a latent."""
    views: ViewsParams
    """Of ID training images only; teachers and detectors are trained on them."""


class BatchParams(PartOfSection):
    """The part of the section on which latents of plain images depend."""

    batch_size: Count
