"""The images of all splits of a benchmark and their seeds, drawn for the bootstrap of all splits together."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.score.bootstrap import Weights, blocks, drawn
from pipeline.score.params import BootstrapParams

Contents = Mapping[str, NDArray[np.int64]]
"""The content hash of every image of a split, by image set."""


class Population:
    """Every image once, however many sets of however many splits have it.

    Splits share images: far sets are the same in all, and what is held out of one is ID in others. Those that are drawn
    one by one for each split would count as many more than there are.
    """

    def __init__(self, splits: Sequence[Contents], seeds: int) -> None:
        self.seeds = seeds
        self.images = np.unique(np.concatenate([images for split in splits for images in split.values()]))

    def replicates(self, split: Contents, params: BootstrapParams) -> Iterator[Weights]:
        """Yield how often seeds and images of a split count: those of a replicate are the same for all splits.

        Seeds too, since networks of one seed begin with the same weights and see rows in the same order.
        """
        places = {name: np.searchsorted(self.images, images) for name, images in split.items()}
        rng = np.random.default_rng(params.seed)
        for count in blocks(params.replicates):
            seeds, images = drawn(rng, count, self.seeds), drawn(rng, count, len(self.images))
            of = {name: images[at] for name, at in places.items()}
            yield Weights(seeds, of.pop("id_test"), of)
