"""The interval of a difference covers it, and a detector that is no better is never called better."""

import numpy as np
import pytest

from pipeline.score.bootstrap import GAINS, Pair, Ranking, bootstrap, difference, differences
from pipeline.score.metrics import metrics
from tests import oracles

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("ties", [False, True])
def test_weights_count_an_image_as_often_as_repeating_it(ties):
    known, unknown = RNG.standard_normal(19), RNG.standard_normal(17) + 0.5
    if ties:
        known, unknown = np.round(known), np.round(unknown)
    ids, oods = RNG.integers(0, 3, (19, 8)), RNG.integers(0, 3, (17, 8))
    found = Ranking(known, unknown).weighted(ids.astype(np.float32), oods.astype(np.float32))
    for index, (often_known, often_unknown) in enumerate(zip(ids.T, oods.T, strict=True)):
        k, u = np.repeat(known, often_known), np.repeat(unknown, often_unknown)
        wanted = [oracles.auroc(k, u), oracles.fpr95(k, u), oracles.fpr95(-u, -k)]
        np.testing.assert_allclose(found[:, index], wanted, atol=1e-6)


def pairs(gain, seeds=5, count=120):
    """Scores of known and unknown images; the detector moves the unknown ones up by `gain`."""
    base = [RNG.standard_normal((1, count)) + shift for shift in (0.0, 1.0)]
    wobble = [0.3 * RNG.standard_normal((4, seeds, count)) for _ in base]
    known = Pair(base[0] + wobble[0][0], base[0] + wobble[0][1])
    return known, Pair(base[1] + wobble[1][0], base[1] + wobble[1][1] + gain)


def compared(known, *unknown, replicates=400, seed=0):
    """Return the differences over some OOD sets taken together."""
    sets = {str(index): {"knn": pair} for index, pair in enumerate(unknown)}
    return differences([*bootstrap({"knn": known}, sets, replicates, seed).values()])


def test_the_mean_is_the_plain_mean_over_seeds_and_sets():
    known, near = pairs(0.5, seeds=2, count=20)
    _, far = pairs(2.0, seeds=2, count=20)
    found = compared(known, near, far, replicates=100)
    for name in GAINS:
        wanted = [
            getattr(metrics(known.detector[s], one.detector[s]), name)
            - getattr(metrics(known.baseline[s], one.baseline[s]), name)
            for one in (near, far)
            for s in range(2)
        ]
        assert found[name].mean == pytest.approx(np.mean(wanted), abs=1e-6)


def test_a_better_detector_is_found_better_and_its_mirror_worse():
    known, unknown = pairs(1.0)
    found, mirror = compared(known, unknown), compared(Pair(*reversed(known)), Pair(*reversed(unknown)))
    for name, sign in GAINS.items():
        assert (found[name].verdict, mirror[name].verdict) == ("better", "worse"), name
        assert sign * found[name].mean > 0
        assert found[name].low < found[name].mean < found[name].high


def no_gain(seeds, spread):
    """A detector that is no better, each of whose seeds was lucky or not by about `spread`."""
    known, unknown = pairs(0.0, seeds=seeds)
    luck = spread * RNG.standard_normal((seeds, 1))
    return known, Pair(unknown.baseline, unknown.detector + luck)


@pytest.mark.parametrize(("seeds", "spread"), [(5, 0.0), (5, 0.3), (3, 0.3)])
def test_a_detector_without_gain_is_rarely_given_a_verdict(seeds, spread):
    verdicts = [compared(*no_gain(seeds, spread), replicates=200)["auroc"].verdict for _ in range(100)]
    assert verdicts.count("undecided") >= 90, verdicts.count("undecided")


def test_random_scores_are_never_called_better(tell):
    """A detector that says anything, against a baseline that knows a little or nothing: 100 repetitions each."""
    counted = {}
    for name, skill in (("a baseline that knows a little", 0.5), ("a baseline as random", 0.0)):
        verdicts = []
        for _ in range(100):
            ids, oods = RNG.standard_normal((2, 5, 100)), RNG.standard_normal((2, 5, 100))
            verdicts.append(compared(Pair(*ids), Pair(oods[0] + skill, oods[1]), replicates=200)["auroc"].verdict)
        counted[name] = {verdict: verdicts.count(verdict) for verdict in ("better", "worse", "undecided")}
        tell(f"a detector of random scores against {name}, 100 repetitions: {counted[name]}")
    assert counted["a baseline that knows a little"]["better"] == 0
    assert counted["a baseline as random"]["better"] == 0


def test_one_seed_decides_nothing():
    assert compared(*pairs(3.0, seeds=1))["auroc"].verdict == "undecided"


def repeated(values, rows, columns):
    """Return scores in which only one level varies: the seeds, or the images."""
    return np.broadcast_to(values, (rows, columns)).copy()


def width(known, unknown):
    found = compared(known, unknown)["auroc"]
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
    same = compared(Pair(known.baseline, known.baseline), Pair(unknown.baseline, unknown.baseline))
    assert all((gain.mean, gain.low, gain.high, gain.verdict) == (0, 0, 0, "undecided") for gain in same.values())


def test_the_interval_is_the_same_for_the_same_seed():
    known, unknown = pairs(0.2)
    assert compared(known, unknown, replicates=130, seed=3) == compared(known, unknown, replicates=130, seed=3)


def test_scores_and_sets_share_their_draws():
    """The same images by the same scores gain the same in every replicate, whatever they are called."""
    known, unknown = pairs(0.2)
    found = bootstrap({"a": known, "b": known}, {"near": {"a": unknown, "b": unknown}}, 70, 0)
    np.testing.assert_array_equal(found["near", "a"].draws, found["near", "b"].draws)


def test_an_interval_that_cannot_be_told_decides_nothing():
    assert difference(0.1, np.full(200, np.nan), 5).verdict == "undecided"
