"""Outliers without meaning: the places of one latent permuted, so that local statistics stay and the object goes."""

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.synthesize.method import Method, Outliers, Parents
from pipeline.synthesize.params import ShuffleParams


class Shuffle(Method):
    """Spatial shuffle: square patches of a latent change places, all channels together; never the identity."""

    method_names = ("shuffle",)

    def __init__(self, parents: Parents, params: ShuffleParams) -> None:
        height, width = parents.values.shape[2:]
        self.places = (height // params.patch) * (width // params.patch)
        if height % params.patch or width % params.patch or self.places < 2:
            raise PipelineError(
                f"synthesize.shuffle.patch is {params.patch}, but latents are {height} x {width}: wanted a common "
                f"divisor of both that leaves two patches or more."
            )
        self.parents = parents
        self.params = params

    def block(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Outliers:
        """Return the outliers numbered `rows`."""
        classes = self.parents.cycle(rows)
        chosen = self.parents.pools.draw(classes, rng)
        order = rng.permuted(np.tile(np.arange(self.places), (len(rows), 1)), axis=1)
        unmoved = (order == np.arange(self.places)).all(1)
        order[unmoved] = np.roll(order[unmoved], 1, axis=1)
        values = self.parents.latents(chosen)
        patch, (channels, height, width) = self.params.patch, values.shape[1:]
        grid = values.view(-1, channels, height // patch, patch, width // patch, patch)
        patches = grid.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (n, places, c, patch, patch)
        moved = patches[torch.arange(len(rows))[:, None], torch.from_numpy(order)]
        back = moved.view(-1, height // patch, width // patch, channels, patch, patch).permute(0, 3, 1, 4, 2, 5)
        return Outliers.of_one_parent(back.reshape(values.shape), classes, chosen)
