"""Parameters of method `copies`."""

from pipeline.params.methods.base import MethodParams


class CopiesParams(MethodParams):
    """Null control: ID latents as they are."""
