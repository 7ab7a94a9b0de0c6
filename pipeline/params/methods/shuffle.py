"""Parameters of method `shuffle`."""

from pipeline.params.methods.base import MethodParams
from pipeline.schema.section import Count


class ShuffleParams(MethodParams):
    """One latent with its places permuted."""

    patch: Count
    """Side of the square that moves as a whole, in latent places."""
