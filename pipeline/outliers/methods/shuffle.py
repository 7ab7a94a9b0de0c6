"""Outliers without an object: the patches of a latent are permuted, which keeps its local statistics."""

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.outliers.method import Method, Outliers, Parents
from pipeline.params.methods.shuffle import ShuffleParams
from pipeline.runtime.errors import PipelineError


class Shuffle(Method):
    """Spatial shuffle: square patches of a latent are permuted, all channels together, never by the identity."""

    method_names = ("shuffle",)

    def __init__(self, parents: Parents, params: ShuffleParams) -> None:
        height, width = parents.values.shape[2:]
        self.patch_count = (height // params.patch) * (width // params.patch)
        if height % params.patch or width % params.patch or self.patch_count < 2:
            raise PipelineError(
                f"synthesize.shuffle.patch is {params.patch}, but latents are {height} x {width}, wanted a common "
                f"divisor of both that gives at least two patches. Choose such a divisor."
            )
        self.parents = parents
        self.params = params
        self.extra_columns = parents.view_columns()

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        classes = self.parents.cycle(rows)
        chosen = self.parents.class_rows.draw(classes, rng)
        order = rng.permuted(np.tile(np.arange(self.patch_count), (len(rows), 1)), axis=1)
        unmoved = (order == np.arange(self.patch_count)).all(1)
        order[unmoved] = np.roll(order[unmoved], 1, axis=1)
        views = self.parents.draw_views(chosen.shape, rng)
        values = self.parents.latents(chosen, views)
        patch, (channels, height, width) = self.params.patch, values.shape[1:]
        grid = values.view(-1, channels, height // patch, patch, width // patch, patch)
        patches = grid.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (n, patch_count, c, patch, patch)
        permuted = patches[torch.arange(len(rows))[:, None], torch.from_numpy(order)]
        shuffled = permuted.view(-1, height // patch, width // patch, channels, patch, patch).permute(0, 3, 1, 4, 2, 5)
        extra = self.parents.view_column_values(views, views)
        return Outliers.of_one_parent(shuffled.reshape(values.shape), classes, chosen, extra)
