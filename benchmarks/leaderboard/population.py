"""The images of all splits of a benchmark, drawn for the bootstrap of all splits together."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.posthoc.bootstrap import Draw, Weights, resampled_counts

Contents = Mapping[str, NDArray[np.int64]]
"""The content hash of every image of a split, by image set."""


class Population:
    """Every image once, however many sets of however many splits have it.

    Splits share images: far sets are the same in all, and what is held out of one is ID in others. Drawn split by split
    they would count as so many images more, and as independent where one side of an image is the other's opposite.
    """

    def __init__(self, splits: Sequence[Contents]) -> None:
        self.images = np.unique(np.concatenate([images for split in splits for images in split.values()]))

    def draw(self, split: Contents, seed: int) -> Draw:
        """Return what draws replicates of a split: how often an image counts in one is the same in all splits."""
        places = {name: np.searchsorted(self.images, images) for name, images in split.items()}
        rng = np.random.default_rng(seed)

        def draw(count: int) -> Weights:
            images = resampled_counts(rng, count, len(self.images))
            of = {name: images[at] for name, at in places.items()}
            return Weights(of.pop("id_test"), of)

        return draw
