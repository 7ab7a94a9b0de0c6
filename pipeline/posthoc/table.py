"""The table of per-sample scores, from which every metric can be computed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDES = ("baseline", "detector")
"""The networks of a run that are compared. Another table may be of others."""


@dataclass(frozen=True)
class ScoreTable:
    """Predictions and scores of every image by the networks of every side and seed."""

    seeds: tuple[int, ...]
    class_names: tuple[str, ...]
    weights: dict[int, str]  # SHA-256 of the detector's weights, by seed
    labels: dict[str, NDArray[np.int32]]  # by image set: (n,), -1 for images of no ID class
    contents: dict[str, NDArray[np.int64]]  # by image set: (n,) content hashes
    scores: dict[tuple[str, str, str], NDArray[np.float64]]
    """By side, image set and score name: (seeds, n), larger = more outlier."""
    predicted: dict[tuple[str, str], NDArray[np.int32]]  # by side and image set: (seeds, n) index into class_names

    @property
    def sides(self) -> tuple[str, ...]:
        """Whose networks these are: of baseline and detector, unless it is another table."""
        return tuple(dict.fromkeys(side for side, _ in self.predicted))

    @property
    def score_names(self) -> tuple[str, ...]:
        """The names of the scores in the table; these may differ from those of this version."""
        return tuple(dict.fromkeys(score for _, _, score in self.scores))

    def accuracy(self, side: str) -> list[float]:
        """Return the share of ID test images whose class is predicted correctly, per seed."""
        hits = self.predicted[side, "id_test"] == self.labels["id_test"]
        return [float(share) for share in hits.mean(1)]
