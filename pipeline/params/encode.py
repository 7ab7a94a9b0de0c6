"""The `encode` section of params.yaml."""

from pipeline.schema.section import Count, Section


class EncodeParams(Section):
    """How images become latents."""

    batch_size: Count
    """Images per forward pass. A parameter, because it may change the last bit of a latent."""
