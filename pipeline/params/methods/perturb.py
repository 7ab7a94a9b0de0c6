"""Parameters of method `perturb`."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.methods.base import MethodParams
from pipeline.schema.section import Count, Positive


class PerturbParams(MethodParams):
    """Noise around the outermost latents of a class."""

    neighbours: Count
    """k of the k-NN distance that says how far out a latent is."""
    boundary_share: Annotated[float, Field(gt=0, le=1)]
    """Share of a class, the outermost by k-NN distance, that parents are drawn from."""
    sigma: Positive
    """Standard deviation of the noise, in units of the class's own."""
    noise: Literal["diagonal", "covariance"]
    """Shaped like the class: by its standard deviation per value, or by its covariance."""
    candidates: Count
    """Noisy copies per row, of which the one farthest from its class is kept."""
