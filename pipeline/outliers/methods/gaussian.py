"""Null control: Gaussian latents that share only the mean and the covariance of the ID latents."""

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.outliers.method import Method, Outliers, Parents
from pipeline.outliers.noise import covariance_root
from pipeline.params.methods.gaussian import GaussianParams


class GaussianControl(Method):
    """Draws from the normal distribution with the first two moments of all ID latents. The rows have no class."""

    method_names = ("gaussian",)

    def __init__(self, parents: Parents, params: GaussianParams) -> None:  # noqa: ARG002  # as every method
        rows = parents.values.flatten(1)
        self.shape = parents.values.shape[1:]
        self.mean, self.root = rows.mean(0), covariance_root(rows)

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        draws = torch.from_numpy(rng.standard_normal((len(rows), len(self.root)), np.float32)).to(self.mean.device)
        return Outliers.without_parents((self.mean + draws @ self.root).reshape(-1, *self.shape))
