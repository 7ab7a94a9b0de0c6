"""The gain of a detector over the baseline, with an interval over seeds and test images; both sides share draws."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.progress import progress

Array = NDArray[np.float64]
Counts = NDArray[np.float32]
"""How often each image counts in each replicate."""
Verdict = Literal["better", "worse", "undecided"]
Score = TypeVar("Score", bound=str)
Gain = Literal["auroc", "fpr95_ood_pos", "fpr95_id_pos"]
GAINS: dict[Gain, int] = {"auroc": 1, "fpr95_ood_pos": -1, "fpr95_id_pos": -1}
"""The compared metrics, each with the sign of an improvement."""

BLOCK = 64
"""Replicates computed at once; memory stays at a few times BLOCK times the number of images."""


class Pair(NamedTuple):
    """Scores of the same images by baseline and detector, one row per seed."""

    baseline: Array  # (seeds, n)
    detector: Array  # (seeds, n)


class Weights(NamedTuple):
    """How often each image counts in each of b replicates."""

    id_images: Counts  # (n, b)
    ood_images: Mapping[str, Counts]  # by OOD set, (m, b)


Draw = Callable[[int], Weights]
"""A function that draws the weights of the next `count` replicates."""


class Difference(NamedTuple):
    """A metric of the detector minus that of the baseline, with its interval and verdict."""

    mean: float
    low: float
    high: float
    verdict: Verdict
    from_seeds: float
    """Half the width that the interval would have if there was no noise but that of training."""


class Gains(NamedTuple):
    """Detector minus baseline for one OOD set and one score: of every seed, and in every replicate of the images."""

    of_seeds: Array  # (seeds, metrics)
    draws: Array  # (replicates, metrics), mean over seeds


def bootstrap(
    id_scores: Mapping[Score, Pair], ood_scores: Mapping[str, Mapping[Score, Pair]], replicates: int, seed: int
) -> dict[tuple[str, Score], Gains]:
    """Return the gains on each OOD set by each score.

    id_scores: scores of the ID test images, by score name. ood_scores: scores of each OOD set, by set and score name. A
    replicate draws ID images and the images of each set with replacement. All scores, sides, seeds and sets share these
    draws, so that the gains of a replicate can be averaged over sets.

    Source: Efron and Tibshirani 1993, chapter 13.
    """
    id_count = next(iter(id_scores.values())).baseline.shape[1]
    sizes = {name: next(iter(scores.values())).baseline.shape[1] for name, scores in ood_scores.items()}
    rng = np.random.default_rng(seed)

    def draw(count: int) -> Weights:
        id_images = resampled_counts(rng, count, id_count)
        return Weights(id_images, {name: resampled_counts(rng, count, size) for name, size in sizes.items()})

    return weighted_gains(id_scores, ood_scores, replicates, draw)


def weighted_gains(
    id_scores: Mapping[Score, Pair], ood_scores: Mapping[str, Mapping[Score, Pair]], replicates: int, draw: Draw
) -> dict[tuple[str, Score], Gains]:
    """Return the gains on each OOD set by each score, in replicates weighted as `draw` says.

    id_scores, ood_scores: as for `bootstrap`.
    """
    trials = {
        (name, score): [_Trial(id_scores[score], pair, seed_index) for seed_index in range(len(pair.baseline))]
        for name, scores in ood_scores.items()
        for score, pair in scores.items()
    }
    draws: dict[tuple[str, Score], list[Array]] = {key: [] for key in trials}
    with progress("comparing, replicates", replicates) as advance:
        for count in block_sizes(replicates):
            weights = draw(count)
            for (name, score), seed_trials in trials.items():
                gains = [trial.gains(weights.id_images, weights.ood_images[name]) for trial in seed_trials]
                draws[name, score].append(np.mean(gains, axis=0).T)
            advance(count)
    return {
        key: Gains(np.stack([trial.unweighted_gain() for trial in seed_trials]), np.concatenate(draws[key]))
        for key, seed_trials in trials.items()
    }


def block_sizes(replicates: int) -> list[int]:
    """Split a number of replicates into blocks of at most BLOCK, and return their sizes."""
    return [min(BLOCK, replicates - start) for start in range(0, replicates, BLOCK)]


def resampled_counts(rng: np.random.Generator, replicates: int, count: int) -> Counts:
    """Draw `count` items with replacement; return how often each is drawn in each replicate, (count, replicates)."""
    rows = [np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(replicates)]
    return np.stack(rows, axis=1).astype(np.float32)


def differences(set_gains: list[Gains]) -> dict[Gain, Difference]:
    """Return the gain in each metric, averaged over one or more OOD sets.

    A higher AUROC and a lower FPR95 are better.
    """
    of_seeds = np.mean([gains.of_seeds for gains in set_gains], axis=0)
    draws = np.mean([gains.draws for gains in set_gains], axis=0)
    return {
        name: difference(of_seeds[:, index], draws[:, index], sign) for index, (name, sign) in enumerate(GAINS.items())
    }


def difference(of_seeds: Array, draws: Array, sign: int = 1) -> Difference:
    """Return the mean of the differences of s seeds (s,) with a 95 % interval, from replicates of the images (b,).

        low = mean - sqrt((mean - q)^2 + (t(0.975, s - 1) std / sqrt(s))^2),   high likewise with the upper q

    sign: 1 if a larger value is an improvement, -1 if a smaller one is. The interval covers the noise of sampling
    images and that of training. q are the 2.5 % and 97.5 % quantiles of the replicates, whose differences are means
    over all seeds. std is that of the seeds, and t Student's quantile, since seeds are few. The two parts are
    independent, so their distances from the mean add up as squares (Zou and Donner 2008,
    https://doi.org/10.1002/sim.3095). The noise of training cannot be estimated from a single seed, so its verdict is
    always undecided.

    All metrics are in 0..1, so their differences are in -1..1, and an interval ends there. The part beyond can hold no
    true difference; without it the interval covers the true one as often as before.

    On intervals for a value in a known range: Evans, Hansen and Stark 2003,
    https://statistics.berkeley.edu/sites/default/files/tech-reports/617.pdf.
    """
    mean = of_seeds.mean()
    from_images, from_seeds = np.quantile(draws, [0.025, 0.975]) - mean, training_noise(of_seeds)
    low, high = np.clip(mean + np.array([-1, 1]) * np.hypot(from_images, from_seeds), -1, 1)
    worst, best = sorted((low * sign, high * sign))
    return Difference(float(mean), float(low), float(high), _verdict(worst, best, len(of_seeds)), from_seeds)


def training_noise(of_seeds: Array) -> float:
    """Return half the width of the 95 % interval of the mean of s seeds (s,); 0 for a single one."""
    from scipy.stats import t

    seeds = len(of_seeds)
    return 0.0 if seeds == 1 else float(t.ppf(0.975, seeds - 1) * of_seeds.std(ddof=1) / np.sqrt(seeds))


class _Trial:
    """The scores of one seed for the ID images and one OOD set, both sides sorted once for all replicates."""

    def __init__(self, id_scores: Pair, ood_scores: Pair, seed_index: int) -> None:
        self.rankings = [
            Ranking(id_side[seed_index], ood_side[seed_index])
            for id_side, ood_side in zip(id_scores, ood_scores, strict=True)
        ]
        self.sizes = (id_scores.baseline.shape[1], ood_scores.baseline.shape[1])

    def gains(self, id_counts: Counts, ood_counts: Counts) -> Array:
        """Return detector minus baseline, (metrics, b), for ID and OOD images counted (n, b) and (m, b) times."""
        baseline, detector = (ranking.weighted(id_counts, ood_counts) for ranking in self.rankings)
        return detector - baseline

    def unweighted_gain(self) -> Array:
        """Return detector minus baseline where every image counts once, (metrics,)."""
        return self.gains(*(np.ones((size, 1), np.float32) for size in self.sizes))[:, 0]


class Ranking:
    """The order of the scores of ID images (n,) and OOD images (m,) relative to each other."""

    def __init__(self, id_scores: Array, ood_scores: Array) -> None:
        self.id_order, self.ood_order = np.argsort(id_scores), np.argsort(ood_scores)
        id_sorted, ood_sorted = id_scores[self.id_order], ood_scores[self.ood_order]
        # for each OOD image: the number of ID images with a smaller score, and with at most the same score
        self.id_below, self.id_up_to = (np.searchsorted(id_sorted, ood_sorted, side) for side in ("left", "right"))
        # for each ID image: the number of OOD images with at most the same score
        self.ood_up_to = np.searchsorted(ood_sorted, id_sorted, "right")

    def weighted(
        self,
        id_counts: Counts,  # (n, b)
        ood_counts: Counts,  # (m, b)
    ) -> Array:  # (metrics, b)
        """Return each metric of `GAINS` for b weightings of the images; a count says how often an image counts."""
        id_sums, ood_sums = _cumulated(id_counts[self.id_order]), _cumulated(ood_counts[self.ood_order])
        id_total, ood_total = (sums[-1].astype(np.float64) for sums in (id_sums, ood_sums))
        replicates = np.arange(id_counts.shape[1])
        wins = (id_sums[self.id_below] + id_sums[self.id_up_to]) / 2
        auroc = np.einsum("mb,mb->b", wins, ood_counts[self.ood_order], dtype=np.float64) / id_total / ood_total
        flagged_from = (ood_sums[1:-1] * 20 <= ood_total).sum(0)  # the last threshold that 95 % of OOD reach
        accepted_to = (id_sums[1:] * 20 < 19 * id_total).sum(0)  # the first that 95 % of ID do not exceed
        return np.stack(
            [
                auroc,
                1 - id_sums[self.id_below[flagged_from], replicates] / id_total,
                ood_sums[self.ood_up_to[accepted_to], replicates] / ood_total,
            ]
        )


def _cumulated(counts: Counts) -> Counts:
    """Return (n + 1, b): the sum of the first 0, 1, ..., n rows; exact up to 2^24 images."""
    sums = np.zeros((len(counts) + 1, counts.shape[1]), np.float32)
    np.cumsum(counts, axis=0, out=sums[1:])
    return sums


def _verdict(worst: float, best: float, seeds: int) -> Verdict:
    """Return the verdict on an interval whose larger values are better.

    It is undecided if the interval contains zero, has an end that is NaN, or comes from one seed.
    """
    if seeds > 1 and worst > 0:
        return "better"
    return "worse" if seeds > 1 and best < 0 else "undecided"
