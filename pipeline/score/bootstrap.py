"""Paired bootstrap of an AUROC difference: over the seeds and over the test images, the same draw for both sides."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Verdict = Literal["better", "worse", "undecided"]

BLOCK = 64
"""Replicates weighted at once, so that memory stays at BLOCK times the number of images."""


class Pair(NamedTuple):
    """Scores of the same images by baseline and detector, one row per seed."""

    baseline: Array  # (seeds, n)
    detector: Array  # (seeds, n)


class Difference(NamedTuple):
    """AUROC of the detector minus AUROC of the baseline."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def verdict(self) -> Verdict:
        """Say whether the interval excludes zero, and on which side; one seed decides nothing."""
        if self.seeds == 1 or self.low <= 0 <= self.high:
            return "undecided"
        return "better" if self.low > 0 else "worse"


def auroc_difference(known: Pair, unknown: list[Pair], replicates: int, seed: int) -> Difference:
    """Return the mean difference over seeds and OOD sets, with the 95 % percentile interval.

    known: scores of the ID test images; unknown: of each OOD set of the group, sets counting alike.
    A replicate draws seeds, ID images and the images of each set with replacement, so the interval covers the noise
    of training and of sampling. Few seeds drawn from themselves vary too little, and their mean has heavier tails than
    a normal one; the interval is therefore widened about the mean by sqrt(s / (s - 1)) * t(0.975, s - 1) / z(0.975).
    One seed says nothing of the noise of training: its verdict is always undecided.

    Source: Efron and Tibshirani 1993, chapter 13; two levels as in Davison and Hinkley 1997, section 3.8.
    """
    rng = np.random.default_rng(seed)
    draws = []
    for start in range(0, replicates, BLOCK):
        size = min(BLOCK, replicates - start)
        seeds = _resample(rng, size, len(known.baseline))
        images = _resample(rng, size, known.baseline.shape[1])
        gains = []
        for one in unknown:
            others = _resample(rng, size, one.baseline.shape[1])
            gains.append(_mean_over_seeds(known, one, seeds, images, others))
        draws.append(np.mean(gains, axis=0))
    seeds, images = (np.ones((1, count)) for count in known.baseline.shape)
    point = [_mean_over_seeds(known, one, seeds, images, np.ones((1, one.baseline.shape[1])))[0] for one in unknown]
    mean = float(np.mean(point))
    low, high = mean + widening(len(known.baseline)) * (np.quantile(np.concatenate(draws), [0.025, 0.975]) - mean)
    return Difference(mean, float(low), float(high), len(known.baseline))


def widening(seeds: int) -> float:
    """Return by how much an interval from few seeds is widened; 1 for a single one, where it cannot be known."""
    from scipy.stats import norm, t

    if seeds == 1:
        return 1.0
    return float(np.sqrt(seeds / (seeds - 1)) * t.ppf(0.975, seeds - 1) / norm.ppf(0.975))


def weighted_auroc(
    known: Array,  # (n,)
    unknown: Array,  # (m,)
    known_weights: Array,  # (b, n)
    unknown_weights: Array,  # (b, m)
) -> Array:  # (b,)
    """Return P(unknown > known) + P(unknown = known) / 2 under each of b weightings of the images."""
    scores = np.concatenate([known, unknown])
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    blank = [np.zeros_like(known_weights), np.zeros_like(unknown_weights)]
    id_mass = np.add.reduceat(np.hstack([known_weights, blank[1]])[:, order], starts, axis=1)
    ood_mass = np.add.reduceat(np.hstack([blank[0], unknown_weights])[:, order], starts, axis=1)
    below = np.cumsum(id_mass, axis=1) - id_mass / 2
    total = known_weights.sum(1) * unknown_weights.sum(1)
    return np.asarray((ood_mass * below).sum(1) / total)


def _mean_over_seeds(known: Pair, unknown: Pair, seeds: Array, images: Array, others: Array) -> Array:
    """Return the difference under each replicate's weights: seeds (b, s), ID images (b, n), OOD images (b, m)."""
    gains = [
        weighted_auroc(known.detector[index], unknown.detector[index], images, others)
        - weighted_auroc(known.baseline[index], unknown.baseline[index], images, others)
        for index in range(len(known.baseline))
    ]
    return np.asarray((np.stack(gains, axis=1) * seeds).sum(1) / seeds.sum(1))


def _resample(rng: np.random.Generator, replicates: int, count: int) -> Array:
    """Return how often each of `count` things is drawn in each replicate, (replicates, count)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=replicates).astype(np.float64)
