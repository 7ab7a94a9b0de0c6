"""The `encode` section of params.yaml."""

from pipeline.config import Count, Section
from pipeline.images.params import DataParams


class EncodeParams(Section):
    """How images become latents."""

    batch_size: Count
    """Images per forward pass. A parameter, because it may change the last bit of a latent."""


class Params(Section):
    """What this stage reads of params.yaml."""

    data: DataParams
    encode: EncodeParams
