"""Null control: ID latents themselves, called outliers. A method that is no better than this adds nothing."""

import numpy as np
from numpy.typing import NDArray

from pipeline.synthesize.method import Method, Outliers, Parents
from pipeline.synthesize.params import CopiesParams


class Copies(Method):
    """Plain copies of ID latents, uniform within their class: they must not help."""

    method_names = ("copies",)

    def __init__(self, parents: Parents, params: CopiesParams) -> None:  # noqa: ARG002  # as every method
        self.parents = parents

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        classes = self.parents.cycle(rows)
        chosen = self.parents.pools.draw(classes, rng)
        return Outliers.of_one_parent(self.parents.latents(chosen), classes, chosen)
