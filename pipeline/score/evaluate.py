"""Collect what every metric needs: the scores of each image set by both networks of each seed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.device import chosen_device
from pipeline.errors import IncompatibleStoreError
from pipeline.latents import Latents
from pipeline.networks.folder import load_network
from pipeline.score.bootstrap import Pair
from pipeline.score.scores import Outputs, Scores, all_scores, outputs

SIDES = ("baseline", "detector")


@dataclass
class Evaluation:
    """Scores and ID accuracy, one row per seed."""

    scores: dict[tuple[str, str, str], list[NDArray[np.float64]]] = field(default_factory=dict)
    """By side, image set and score: per seed (n,)."""
    accuracy: dict[str, list[float]] = field(default_factory=dict)
    """By side: per seed, on the ID test set."""

    def of(self, side: str, image_set: str, score: str) -> NDArray[np.float64]:
        """Return the scores of a set, (seeds, n)."""
        return np.stack(self.scores[side, image_set, score])

    def pair(self, image_set: str, score: str) -> Pair:
        """Return the scores of a set by both sides."""
        return Pair(self.of("baseline", image_set, score), self.of("detector", image_set, score))


def evaluate(
    seeds: tuple[int, ...],
    folders: dict[str, Path],
    id_train: Latents,
    sets: dict[str, Latents],
    knn_neighbours: int,
    advance: Callable[[int], None],
) -> Evaluation:
    """Score every set in `sets` with the networks found in `folders[side] / seed`.

    Raises ModelError or IncompatibleStoreError when a network is missing or was trained on other latents.
    """
    found = Evaluation()
    for side in SIDES:
        for seed in seeds:
            trained = load_network(folders[side] / str(seed), id_train.header.space, id_train.class_names)
            if trained.card.standardisation != id_train.header.standardisation:
                here, wanted = trained.card.standardisation, id_train.header.standardisation
                raise IncompatibleStoreError(folders[side] / str(seed), "its standardisation", here, wanted)
            trained.network.to(chosen_device())
            bank = outputs(trained.network, id_train.values).features
            answers = {name: outputs(trained.network, latents.values) for name, latents in sets.items()}
            _record(found, side, {name: all_scores(of, bank, knn_neighbours) for name, of in answers.items()})
            found.accuracy.setdefault(side, []).append(_accuracy(answers["id_test"], sets["id_test"]))
            advance(1)
    return found


def _record(found: Evaluation, side: str, by_set: dict[str, Scores]) -> None:
    for image_set, scores in by_set.items():
        for score, values in scores.items():
            found.scores.setdefault((side, image_set, score), []).append(values)


def _accuracy(of: Outputs, latents: Latents) -> float:
    return float((of.logits.argmax(1).numpy() == latents.labels).mean())
