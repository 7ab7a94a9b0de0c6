"""Null control: ID latents that are used as outliers. A method that is no better than this control adds nothing."""

import numpy as np
from numpy.typing import NDArray

from pipeline.outliers.method import Method, Outliers, Parents
from pipeline.params.methods.copies import CopiesParams


class Copies(Method):
    """Plain copies of ID latents, drawn uniformly within each class. They must not help a detector."""

    method_names = ("copies",)

    def __init__(self, parents: Parents, params: CopiesParams) -> None:  # noqa: ARG002  # as every method
        self.parents = parents
        self.extra_columns = parents.view_columns()

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        classes = self.parents.cycle(rows)
        chosen = self.parents.class_rows.draw(classes, rng)
        views = self.parents.draw_views(chosen.shape, rng)
        extra = self.parents.view_column_values(views, views)
        return Outliers.of_one_parent(self.parents.latents(chosen, views), classes, chosen, extra)
