"""The interval of a difference covers it, and a detector that is no better is never called better."""

import numpy as np
import pytest

from pipeline.score.bootstrap import Difference, Pair, auroc_difference, weighted_auroc
from tests import oracles

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("ties", [False, True])
def test_weights_count_an_image_as_often_as_repeating_it(ties):
    known, unknown = RNG.standard_normal(9), RNG.standard_normal(7) + 0.5
    if ties:
        known, unknown = np.round(known), np.round(unknown)
    often_known, often_unknown = RNG.integers(0, 3, (4, 9)), RNG.integers(1, 3, (4, 7))
    found = weighted_auroc(known, unknown, often_known.astype(float), often_unknown.astype(float))
    wanted = [
        oracles.auroc(np.repeat(known, k), np.repeat(unknown, u))
        for k, u in zip(often_known, often_unknown, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def pairs(gain, seeds=5, count=120):
    """Scores of known and unknown images; the detector moves the unknown ones up by `gain`."""
    base = [RNG.standard_normal((1, count)) + shift for shift in (0.0, 1.0)]
    wobble = [0.3 * RNG.standard_normal((4, seeds, count)) for _ in base]
    known = Pair(base[0] + wobble[0][0], base[0] + wobble[0][1])
    return known, Pair(base[1] + wobble[1][0], base[1] + wobble[1][1] + gain)


def test_the_mean_is_the_plain_mean_over_seeds_and_sets():
    known, near = pairs(0.5, seeds=2, count=20)
    _, far = pairs(2.0, seeds=2, count=20)
    found = auroc_difference(known, [near, far], 100, 0)
    wanted = np.mean(
        [
            oracles.auroc(known.detector[s], one.detector[s]) - oracles.auroc(known.baseline[s], one.baseline[s])
            for one in (near, far)
            for s in range(2)
        ]
    )
    assert found.mean == pytest.approx(wanted, abs=1e-12)


def test_a_better_detector_is_found_better_and_its_mirror_worse():
    known, unknown = pairs(1.0)
    found = auroc_difference(known, [unknown], 400, 0)
    mirror = auroc_difference(Pair(known.detector, known.baseline), [Pair(unknown.detector, unknown.baseline)], 400, 0)
    assert (found.verdict, mirror.verdict) == ("better", "worse")
    assert found.low < found.mean < found.high


def no_gain(seeds, spread):
    """A detector that is no better, each of whose seeds was lucky or not by about `spread`."""
    known, unknown = pairs(0.0, seeds=seeds)
    luck = spread * RNG.standard_normal((seeds, 1))
    return known, Pair(unknown.baseline, unknown.detector + luck)


@pytest.mark.parametrize(("seeds", "spread"), [(5, 0.0), (5, 0.3), (3, 0.3)])
def test_a_detector_without_gain_is_rarely_given_a_verdict(seeds, spread):
    trials = [
        auroc_difference(known, [unknown], 200, 0) for known, unknown in (no_gain(seeds, spread) for _ in range(100))
    ]
    verdicts = [trial.verdict for trial in trials]
    assert verdicts.count("undecided") >= 90, verdicts.count("undecided")


def test_one_seed_decides_nothing():
    known, unknown = pairs(3.0, seeds=1)
    assert auroc_difference(known, [unknown], 200, 0).verdict == "undecided"


def repeated(values, rows, columns):
    """Return scores in which only one level varies: the seeds, or the images."""
    return np.broadcast_to(values, (rows, columns)).copy()


def width(known, unknown):
    found = auroc_difference(known, [unknown], 400, 0)
    return found.high - found.low


def test_the_interval_covers_the_noise_of_seeds():
    constant = repeated(0.0, 5, 50)
    lucky = repeated(np.array([[-1.0], [1.0], [1.0], [-1.0], [1.0]]), 5, 50)  # all images of a seed alike
    assert width(Pair(constant, constant), Pair(constant, lucky)) > 0.4


def test_the_interval_covers_the_noise_of_known_images():
    one, known = repeated(0.5, 5, 50), repeated(np.arange(50) % 2, 5, 50)
    assert width(Pair(repeated(0.0, 5, 50), known), Pair(one, one)) > 0.1


def test_the_interval_covers_the_noise_of_unknown_images():
    zero, unknown = repeated(0.5, 5, 50), repeated(np.arange(50) % 2, 5, 50)
    assert width(Pair(zero, zero), Pair(repeated(1.0, 5, 50), unknown)) > 0.1


def test_identical_sides_are_undecided():
    known, unknown = pairs(0.0)
    same = auroc_difference(Pair(known.baseline, known.baseline), [Pair(unknown.baseline, unknown.baseline)], 100, 0)
    assert same == Difference(0.0, 0.0, 0.0, 5)
    assert same.verdict == "undecided"


def test_the_interval_is_the_same_for_the_same_seed():
    known, unknown = pairs(0.2)
    assert auroc_difference(known, [unknown], 130, 3) == auroc_difference(known, [unknown], 130, 3)
