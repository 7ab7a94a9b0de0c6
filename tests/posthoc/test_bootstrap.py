"""The interval of a difference covers it, and a detector that is no better is never called better."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.posthoc.bootstrap import GAINS, Pair, Ranking, bootstrap, difference, differences, training_noise
from pipeline.posthoc.metrics import metrics
from tests.helpers import oracles

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("ties", [False, True])
def test_weights_count_an_image_as_often_as_repeating_it(ties):
    id_scores, ood_scores = RNG.standard_normal(19), RNG.standard_normal(17) + 0.5
    if ties:
        id_scores, ood_scores = np.round(id_scores), np.round(ood_scores)
    id_counts, ood_counts = RNG.integers(0, 3, (19, 8)), RNG.integers(0, 3, (17, 8))
    result = Ranking(id_scores, ood_scores).weighted(id_counts.astype(np.float32), ood_counts.astype(np.float32))
    for index, (id_repeats, ood_repeats) in enumerate(zip(id_counts.T, ood_counts.T, strict=True)):
        ids, oods = np.repeat(id_scores, id_repeats), np.repeat(ood_scores, ood_repeats)
        wanted = [oracles.auroc(ids, oods), oracles.fpr95(ids, oods), oracles.fpr95(-oods, -ids)]
        np.testing.assert_allclose(result[:, index], wanted, atol=1e-6)


def pairs(gain, seeds=5, count=120):
    """Scores of ID and OOD images; the detector raises those of OOD images by `gain`."""
    base = [RNG.standard_normal((1, count)) + shift for shift in (0.0, 1.0)]
    wobble = [0.3 * RNG.standard_normal((4, seeds, count)) for _ in base]
    id_scores = Pair(base[0] + wobble[0][0], base[0] + wobble[0][1])
    return id_scores, Pair(base[1] + wobble[1][0], base[1] + wobble[1][1] + gain)


def compared(id_scores, *ood_scores, replicates=400, seed=0):
    """Return the differences over some OOD sets taken together."""
    sets = {str(index): {"knn": pair} for index, pair in enumerate(ood_scores)}
    return differences([*bootstrap({"knn": id_scores}, sets, replicates, seed).values()])


def test_the_mean_is_the_plain_mean_over_seeds_and_sets():
    id_scores, near = pairs(0.5, seeds=2, count=20)
    _, far = pairs(2.0, seeds=2, count=20)
    result = compared(id_scores, near, far, replicates=100)
    for name in GAINS:
        wanted = [
            getattr(metrics(id_scores.detector[seed], oods.detector[seed]), name)
            - getattr(metrics(id_scores.baseline[seed], oods.baseline[seed]), name)
            for oods in (near, far)
            for seed in range(2)
        ]
        assert result[name].mean == pytest.approx(np.mean(wanted), abs=1e-6)


def test_a_better_detector_is_found_better_and_its_mirror_worse():
    id_scores, ood_scores = pairs(1.0)
    result, mirror = compared(id_scores, ood_scores), compared(Pair(*reversed(id_scores)), Pair(*reversed(ood_scores)))
    for name, sign in GAINS.items():
        assert (result[name].verdict, mirror[name].verdict) == ("better", "worse"), name
        assert sign * result[name].mean > 0
        assert result[name].low < result[name].mean < result[name].high


def no_gain(seeds, spread, count=120):
    """A detector that is no better, each of whose seeds was lucky or not by about `spread`."""
    id_scores, ood_scores = pairs(0.0, seeds, count)
    luck = spread * RNG.standard_normal((seeds, 1))
    return id_scores, Pair(ood_scores.baseline, ood_scores.detector + luck)


@pytest.mark.parametrize(("seeds", "spread"), [(5, 0.0), (5, 0.3), (3, 0.3)])
def test_a_detector_without_gain_is_rarely_given_a_verdict(seeds, spread):
    verdicts = [compared(*no_gain(seeds, spread), replicates=200)["auroc"].verdict for _ in range(100)]
    assert verdicts.count("undecided") >= 90, verdicts.count("undecided")


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.1), (3, 0.3), (5, 0.1), (5, 0.3)])
def test_about_19_of_20_intervals_hold_the_true_gain(seeds, spread, tell):
    """The true gain is 0, as the luck of seeds and images is as often bad as good."""
    gains = [compared(*no_gain(seeds, spread, count=60), replicates=200)["auroc"] for _ in range(150)]
    share = np.mean([gain.low <= 0 <= gain.high for gain in gains])
    tell(f"intervals that hold the true gain, {seeds} seeds with a spread of {spread}: {share:.1%} of 150")
    assert 0.9 <= share <= 1


def test_seeds_that_agree_add_nothing_to_the_noise_of_images():
    id_scores, ood_scores = pairs(0.3, seeds=1)
    thrice = [Pair(*(np.repeat(side, 3, axis=0) for side in pair)) for pair in (id_scores, ood_scores)]
    one, three = compared(id_scores, ood_scores)["auroc"], compared(*thrice)["auroc"]
    assert (three.low, three.high) == (pytest.approx(one.low), pytest.approx(one.high))


def test_the_noise_of_training_is_students_interval_of_the_mean():
    """Of 0, 2, 4: a standard deviation of 2, and 4.303 is Student's quantile for two degrees of freedom."""
    assert training_noise(np.array([0.0, 2.0, 4.0])) == pytest.approx(4.303 * 2 / np.sqrt(3), rel=1e-3)
    assert training_noise(np.array([5.0])) == 0


def test_noise_of_training_and_of_images_add_up_as_squares():
    draws = np.linspace(-0.03, 0.05, 1001)  # about a mean of 0, and not evenly
    gain = difference(np.array([-0.01, 0.01]), draws)
    lowest, highest = np.quantile(draws, [0.025, 0.975])
    seeds = training_noise(np.array([-0.01, 0.01]))
    assert gain.low == pytest.approx(-np.sqrt(lowest**2 + seeds**2))
    assert gain.high == pytest.approx(np.sqrt(highest**2 + seeds**2))


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


def width(id_scores, ood_scores):
    result = compared(id_scores, ood_scores)["auroc"]
    return result.high - result.low


def test_the_interval_covers_the_noise_of_seeds():
    constant = repeated(0.0, 5, 50)
    lucky = repeated(np.array([[-1.0], [1.0], [1.0], [-1.0], [1.0]]), 5, 50)  # all images of a seed alike
    assert width(Pair(constant, constant), Pair(constant, lucky)) > 0.4


def test_the_interval_covers_the_noise_of_id_images():
    constant, varying = repeated(0.5, 5, 50), repeated(np.arange(50) % 2, 5, 50)
    assert width(Pair(repeated(0.0, 5, 50), varying), Pair(constant, constant)) > 0.1


def test_the_interval_covers_the_noise_of_ood_images():
    constant, varying = repeated(0.5, 5, 50), repeated(np.arange(50) % 2, 5, 50)
    assert width(Pair(constant, constant), Pair(repeated(1.0, 5, 50), varying)) > 0.1


def test_identical_sides_are_undecided():
    id_scores, ood_scores = pairs(0.0)
    same = compared(Pair(id_scores.baseline, id_scores.baseline), Pair(ood_scores.baseline, ood_scores.baseline))
    assert all((gain.mean, gain.low, gain.high, gain.verdict) == (0, 0, 0, "undecided") for gain in same.values())


def test_the_interval_is_the_same_for_the_same_seed():
    id_scores, ood_scores = pairs(0.2)
    first, again = (compared(id_scores, ood_scores, replicates=130, seed=3) for _ in range(2))
    assert first == again


def test_scores_and_sets_share_their_draws():
    """The same images by the same scores gain the same in every replicate, whatever they are called."""
    id_scores, ood_scores = pairs(0.2)
    result = bootstrap({"a": id_scores, "b": id_scores}, {"near": {"a": ood_scores, "b": ood_scores}}, 70, 0)
    np.testing.assert_array_equal(result["near", "a"].draws, result["near", "b"].draws)


def test_an_interval_of_nan_decides_nothing():
    assert difference(np.full(5, 0.1), np.full(200, np.nan)).verdict == "undecided"


def test_an_interval_ends_where_a_difference_cannot_be():
    """Two seeds that disagree say next to nothing."""
    id_scores = Pair(np.zeros((2, 9)), np.zeros((2, 9)))
    disagreeing = Pair(np.zeros((2, 9)), np.array([[-1.0], [1.0]]) * np.ones((2, 9)))
    gain = compared(id_scores, disagreeing)["auroc"]
    assert (gain.low, gain.high, gain.verdict) == (-1, 1, "undecided")


@given(
    values=st.lists(st.floats(-1, 1), min_size=2, max_size=40),
    of_seeds=st.lists(st.floats(-1, 1), min_size=1, max_size=9),
    sign=st.sampled_from([-1, 1]),
)
def test_no_interval_leaves_what_is_possible(values, of_seeds, sign):
    gain = difference(np.array(of_seeds), np.array(values), sign)
    assert -1 <= gain.low <= gain.mean <= gain.high <= 1
    decided = len(of_seeds) > 1 and (gain.low > 0 or gain.high < 0)
    assert (gain.verdict != "undecided") == decided
