"""Parameters of method `gaussian`."""

from typing import ClassVar

from pipeline.params.methods.base import MethodParams


class GaussianParams(MethodParams):
    """Null control: Gaussian latents with the ID mean and covariance."""

    has_parents: ClassVar[bool] = False
