"""A rival of made-up scores beside a table of the detector's."""

import numpy as np

from pipeline.posthoc.rival import SCORES, SIDE
from pipeline.posthoc.table import ScoreTable


def rival_table(detector, shifts, seeds=None):
    """Return a table of the images of the detector's, in which a score moves OOD sets up by `shifts[score]`."""
    rng, seeds = np.random.default_rng(5), detector.seeds if seeds is None else seeds
    sets = [name for name in detector.labels if not name.startswith("probe/")]
    size = len(seeds), len(detector.labels["id_test"])
    return ScoreTable(
        seeds=tuple(seeds),
        class_names=detector.class_names,
        weights={},
        labels={name: detector.labels[name] for name in sets},
        contents={name: detector.contents[name] for name in sets},
        scores={
            (SIDE, name, score): rng.standard_normal(size) + shifts[score] * (not name.startswith("id_"))
            for name in sets
            for score in SCORES
        },
        predicted={(SIDE, name): rng.integers(0, 3, size).astype(np.int32) for name in sets},
    )
