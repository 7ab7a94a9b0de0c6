"""Compare our default with others over the splits of a benchmark: paired over seeds and test images.

Splits are fixed: an interval says what other seeds and other images of the same splits would give, and nothing of
other splits. Values and replicates are averaged over the sets of a group, unweighted, then over the splits. Images are
drawn once for all splits. The mean over splits is taken seed by seed, which is right whether splits share the luck of a
seed or not: networks of one seed do begin with the same weights.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.leaderboard.population import Contents, Population
from benchmarks.leaderboard.scoring import Scores
from pipeline.params.infer import ScoreName
from pipeline.params.score import BootstrapParams
from pipeline.posthoc.bootstrap import (
    GAINS,
    Difference,
    Draw,
    Gain,
    Gains,
    Pair,
    block_sizes,
    difference,
    differences,
    weighted_gains,
)
from pipeline.posthoc.metrics import Metrics, metrics

Array = NDArray[np.float64]
METRICS: tuple[Gain, ...] = tuple(GAINS)


class Entrant(NamedTuple):
    """A method and the score it is judged by."""

    method: str
    score: ScoreName


class Split(NamedTuple):
    """What every method says of the images of one task."""

    groups: Mapping[str, Sequence[str]]  # the OOD sets of 'near' and 'far'
    scores: Mapping[str, Scores]  # by method
    contents: Contents


class Spread(NamedTuple):
    """A value over seeds."""

    mean: float
    std: float | None


def reached(splits: Sequence[Split], entrant: Entrant, group: str) -> dict[Gain, Spread]:
    """Return the metrics of a group: of each seed the mean over its sets, of these mean and std, then over splits.

    The std is the root of the mean variance of the splits: that of a single training, and not of the mean.
    """
    found = [_per_seed(split, entrant, group) for split in splits]  # (seeds, metrics) of each split
    return {name: spread([values[:, place] for values in found]) for place, name in enumerate(METRICS)}


def spread(splits: Sequence[Array]) -> Spread:
    """Return mean and std over seeds of values (seeds,), averaged over splits; one seed has no std."""
    mean = float(np.mean([values.mean() for values in splits]))
    if len(splits[0]) == 1:
        return Spread(mean, None)
    return Spread(mean, float(np.sqrt(np.mean([values.var(ddof=1) for values in splits]))))


def best_score(splits: Sequence[Split], method: str, group: str) -> ScoreName:
    """Return the score with the highest mean AUROC on a group: chosen on the test sets, which favours the method."""
    scores = next(iter(splits[0].scores[method].of.values()))
    return max(scores, key=lambda score: reached(splits, Entrant(method, score), group)["auroc"].mean)


def gains(
    splits: Sequence[Split], ours: Entrant, others: Sequence[Entrant], params: BootstrapParams
) -> dict[tuple[Entrant, str], dict[Gain, Difference]]:
    """Return ours minus each other entrant, for each group in which the splits have sets."""
    population = Population([split.contents for split in splits])
    found = [
        _gains_of_split(split, ours, others, params.replicates, population.draw(split.contents, params.seed))
        for split in splits
    ]
    return {one: differences([of[one] for of in found]) for one in found[0]}


def accuracy_gains(
    splits: Sequence[Split], ours: str, others: Sequence[str], params: BootstrapParams
) -> dict[str, Difference]:
    """Return the ID accuracy of the method called `ours` minus that of each other, drawn as the other metrics are."""
    population = Population([split.contents for split in splits])
    found = [
        _accuracy_gains_of_split(split, ours, others, params.replicates, population.draw(split.contents, params.seed))
        for split in splits
    ]
    of_seeds, draws = (np.mean(each, axis=0) for each in zip(*found, strict=True))  # of each method (seeds,), (b,)
    return {name: difference(*of) for name, of in zip(others, zip(of_seeds, draws, strict=True), strict=True)}


def _gains_of_split(
    split: Split, ours: Entrant, others: Sequence[Entrant], replicates: int, draw: Draw
) -> dict[tuple[Entrant, str], Gains]:
    """Return the gains of one split, averaged over the sets of each group."""

    def pairs(image_set: str) -> dict[str, Pair]:
        mine = split.scores[ours.method].of[image_set][ours.score]
        return {_name(one): Pair(split.scores[one.method].of[image_set][one.score], mine) for one in others}

    ood_pairs = {name: pairs(name) for members in split.groups.values() for name in members}
    found = weighted_gains(pairs("id_test"), ood_pairs, replicates, draw)
    return {
        (one, group): _mean([found[name, _name(one)] for name in members])
        for one in others
        for group, members in split.groups.items()
        if members
    }


def _mean(over: Sequence[Gains]) -> Gains:
    return Gains(np.mean([one.of_seeds for one in over], axis=0), np.mean([one.draws for one in over], axis=0))


def _per_seed(split: Split, entrant: Entrant, group: str) -> Array:
    """Return the metrics of each seed, mean over the sets of a group, (seeds, metrics)."""
    scores = split.scores[entrant.method].of
    values = [
        [
            _chosen(metrics(id_scores, ood_scores))
            for id_scores, ood_scores in zip(scores["id_test"][entrant.score], rows, strict=True)
        ]
        for rows in (scores[name][entrant.score] for name in split.groups[group])
    ]
    over_sets: Array = np.mean(values, axis=0)
    return over_sets


def _chosen(found: Metrics) -> list[float]:
    return [getattr(found, name) for name in METRICS]


def _accuracy_gains_of_split(
    split: Split, ours: str, others: Sequence[str], replicates: int, draw: Draw
) -> tuple[Array, Array]:
    """Return the gains over others of every seed (methods, seeds), and in every replicate (methods, replicates)."""
    hits = {name: split.scores[name].hits.astype(np.float64) for name in (ours, *others)}  # (seeds, n)
    apart = np.stack([hits[ours] - hits[name] for name in others])
    draws = []
    for count in block_sizes(replicates):
        weights = draw(count)
        draws.append(apart.mean(1) @ weights.id_images / weights.id_images.sum(0))
    return apart.mean(2), np.concatenate(draws, axis=1)


def _name(entrant: Entrant) -> str:
    return f"{entrant.method}/{entrant.score}"
