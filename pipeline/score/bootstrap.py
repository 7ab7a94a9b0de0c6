"""Paired bootstrap of what a detector gains: over the seeds and over the test images, the same draw for both sides."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.progress import progress

Array = NDArray[np.float64]
Counts = NDArray[np.float32]
Verdict = Literal["better", "worse", "undecided"]
Score = TypeVar("Score", bound=str)
Gain = Literal["auroc", "fpr95_ood_pos", "fpr95_id_pos"]
GAINS: dict[Gain, int] = {"auroc": 1, "fpr95_ood_pos": -1, "fpr95_id_pos": -1}
"""The metrics that are compared, and the sign of an improvement."""

BLOCK = 64
"""Replicates at once, so that memory stays at a few times BLOCK times the number of images."""


class Pair(NamedTuple):
    """Scores of the same images by baseline and detector, one row per seed."""

    baseline: Array  # (seeds, n)
    detector: Array  # (seeds, n)


class Weights(NamedTuple):
    """How often each seed and each image counts in each of b replicates."""

    seeds: Counts  # (seeds, b)
    known: Counts  # (n, b)
    unknown: Mapping[str, Counts]  # of each OOD set, (n, b)


Draw = Callable[[int], Weights]
"""Draws as many replicates more."""


class Difference(NamedTuple):
    """A metric of the detector minus that of the baseline."""

    mean: float
    low: float
    high: float
    verdict: Verdict


class Gains(NamedTuple):
    """Detector minus baseline for one OOD set and one score: as it is, and in every replicate."""

    point: Array  # (metrics,) mean over seeds
    draws: Array  # (replicates, metrics)
    seeds: int


def bootstrap(
    known: Mapping[Score, Pair], unknown: Mapping[str, Mapping[Score, Pair]], replicates: int, seed: int
) -> dict[tuple[str, Score], Gains]:
    """Return the gains on each OOD set by each score.

    known: scores of the ID test images, by the name of the score; unknown: those of each OOD set, likewise. A replicate
    draws seeds, ID images and the images of each set with replacement, the same for every score, side and set, so that
    gains of a replicate can be averaged over sets.

    Source: Efron and Tibshirani 1993, chapter 13; two levels as in Davison and Hinkley 1997, section 3.8.
    """
    first = next(iter(known.values())).baseline
    sizes = {name: next(iter(scores.values())).baseline.shape[1] for name, scores in unknown.items()}
    rng = np.random.default_rng(seed)

    def draw(count: int) -> Weights:
        seeds, ids = drawn(rng, count, first.shape[0]), drawn(rng, count, first.shape[1])
        return Weights(seeds, ids, {name: drawn(rng, count, size) for name, size in sizes.items()})

    return weighted_gains(known, unknown, replicates, draw)


def weighted_gains(
    known: Mapping[Score, Pair], unknown: Mapping[str, Mapping[Score, Pair]], replicates: int, draw: Draw
) -> dict[tuple[str, Score], Gains]:
    """Return the gains on each OOD set by each score, in replicates where seeds and images count as often as drawn."""
    trials = {
        (name, score): [_Trial(known[score], pair, index) for index in range(len(pair.baseline))]
        for name, scores in unknown.items()
        for score, pair in scores.items()
    }
    draws: dict[tuple[str, Score], list[Array]] = {key: [] for key in trials}
    with progress("comparing, replicates", replicates) as advance:
        for count in blocks(replicates):
            weights = draw(count)
            for (name, score), each in trials.items():
                gains = np.stack([trial.gains(weights.known, weights.unknown[name]) for trial in each])
                draws[name, score].append(np.einsum("smb,sb->bm", gains, weights.seeds) / len(each))
            advance(count)
    return {key: Gains(_as_they_are(each), np.concatenate(draws[key]), len(each)) for key, each in trials.items()}


def blocks(replicates: int) -> list[int]:
    """Return how many replicates to draw at once, block by block."""
    return [min(BLOCK, replicates - start) for start in range(0, replicates, BLOCK)]


def drawn(rng: np.random.Generator, replicates: int, count: int) -> Counts:
    """Return how often each of `count` things is drawn in each replicate, (count, replicates)."""
    rows = [np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(replicates)]
    return np.stack(rows, axis=1).astype(np.float32)


def differences(over: list[Gains]) -> dict[Gain, Difference]:
    """Return the mean gain over OOD sets (one or more) in each metric; better is a higher AUROC and a lower FPR95."""
    point, draws = np.mean([one.point for one in over], axis=0), np.mean([one.draws for one in over], axis=0)
    return {
        name: difference(point[place], draws[:, place], over[0].seeds, sign)
        for place, (name, sign) in enumerate(GAINS.items())
    }


def difference(point: float, draws: Array, seeds: int, sign: int = 1) -> Difference:
    """Return a difference with the 95 % percentile interval of its replicates (b,); sign: that of an improvement.

    The interval covers the noise of training and of sampling. Few seeds drawn from themselves vary too little, and
    their mean has heavier tails than a normal one; the interval is therefore widened about the mean by
    sqrt(s / (s - 1)) * t(0.975, s - 1) / z(0.975). One seed says nothing of the noise of training: its verdict is
    always undecided.
    """
    low, high = point + widening(seeds) * (np.quantile(draws, [0.025, 0.975]) - point)
    worst, best = sorted((low * sign, high * sign))
    return Difference(float(point), float(low), float(high), _verdict(worst, best, seeds))


def widening(seeds: int) -> float:
    """Return by how much an interval from few seeds is widened; 1 for a single one, where it cannot be known."""
    from scipy.stats import norm, t

    if seeds == 1:
        return 1.0
    return float(np.sqrt(seeds / (seeds - 1)) * t.ppf(0.975, seeds - 1) / norm.ppf(0.975))


class _Trial:
    """One seed's scores of the ID images and of one OOD set by both sides, sorted once for all replicates."""

    def __init__(self, known: Pair, unknown: Pair, seed: int) -> None:
        self.sides = [Ranking(k[seed], u[seed]) for k, u in zip(known, unknown, strict=True)]
        self.sizes = (known.baseline.shape[1], unknown.baseline.shape[1])

    def gains(self, ids: Counts, oods: Counts) -> Array:
        """Return detector minus baseline, (metrics, b), where images count `ids` (n, b) and `oods` (m, b) times."""
        baseline, detector = (side.weighted(ids, oods) for side in self.sides)
        return detector - baseline


class Ranking:
    """How the scores of ID images (n,) and OOD images (m,) are ordered among each other."""

    def __init__(self, known: Array, unknown: Array) -> None:
        self.known, self.unknown = np.argsort(known), np.argsort(unknown)
        ids, oods = known[self.known], unknown[self.unknown]
        self.below, self.up_to = (np.searchsorted(ids, oods, side) for side in ("left", "right"))  # IDs, of each OOD
        self.accepted = np.searchsorted(oods, ids, "right")  # OODs up to each ID

    def weighted(
        self,
        ids: Counts,  # (n, b)
        oods: Counts,  # (m, b)
    ) -> Array:  # (metrics, b)
        """Return each metric of `GAINS` where every image counts as often as in each of b weightings."""
        of_ids, of_oods = _cumulated(ids[self.known]), _cumulated(oods[self.unknown])
        n, m, replicate = *(counts[-1].astype(np.float64) for counts in (of_ids, of_oods)), np.arange(ids.shape[1])
        wins = (of_ids[self.below] + of_ids[self.up_to]) / 2
        auroc = np.einsum("mb,mb->b", wins, oods[self.unknown], dtype=np.float64) / n / m
        flagged_from = (of_oods[1:-1] * 20 <= m).sum(0)  # the last threshold that 95 % of OOD reach
        accepted_to = (of_ids[1:] * 20 < 19 * n).sum(0)  # the first that 95 % of ID do not exceed
        return np.stack(
            [
                auroc,
                1 - of_ids[self.below[flagged_from], replicate] / n,
                of_oods[self.accepted[accepted_to], replicate] / m,
            ]
        )


def _cumulated(counts: Counts) -> Counts:
    """Return (n + 1, b): how much the first 0, 1, ... n rows count; exact up to 2^24 images."""
    summed = np.zeros((len(counts) + 1, counts.shape[1]), np.float32)
    np.cumsum(counts, axis=0, out=summed[1:])
    return summed


def _as_they_are(trials: Sequence[_Trial]) -> Array:
    """Return the mean gain over seeds where every image counts once, (metrics,)."""
    once = [np.ones((size, 1), np.float32) for size in trials[0].sizes]
    mean: Array = np.mean([trial.gains(*once)[:, 0] for trial in trials], axis=0)
    return mean


def _verdict(worst: float, best: float, seeds: int) -> Verdict:
    """Say whether an interval of what is better when larger excludes zero; one seed decides nothing, nor does NaN."""
    if seeds > 1 and worst > 0:
        return "better"
    return "worse" if seeds > 1 and best < 0 else "undecided"
