"""Values and differences are those of plain loops over splits, sets, seeds and replicates."""

import numpy as np
import pytest

from benchmarks.leaderboard.statistics import METRICS, Entrant, accuracy_gains, best_score, gains, reached, spread
from pipeline.params.score import BootstrapParams
from pipeline.posthoc.bootstrap import training_noise
from tests.benchmarks.leaderboard.make import GROUPS, contents, splits
from tests.helpers import oracles
from tests.helpers.make import section

OURS, OTHER = Entrant("ours", "knn"), Entrant("cross_entropy", "msp")


def bootstrap(replicates=100, seed=0):
    return section(BootstrapParams, {"replicates": replicates, "seed": seed})


def looped(found, entrant, group, metric):
    """Mean over splits of the mean over sets of a metric, seed by seed."""
    values = np.zeros((len(found), 5))
    for place, split in enumerate(found):
        of = split.scores[entrant.method].of
        for seed in range(5):
            for name in GROUPS[group]:
                k, u = of["id_test"][entrant.score][seed], of[name][entrant.score][seed]
                value = {"auroc": oracles.auroc, "fpr95_ood_pos": oracles.fpr95}.get(metric)
                values[place, seed] += (value(k, u) if value else oracles.fpr95(-u, -k)) / len(GROUPS[group])
    return values


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("metric", METRICS)
def test_values_are_means_over_sets_then_seeds_then_splits(group, metric):
    found = splits(ours=0.5, cross_entropy=0.0)
    values = looped(found, OURS, group, metric)
    told = reached(found, OURS, group)[metric]
    assert told.mean == pytest.approx(values.mean())
    assert told.std == pytest.approx(np.sqrt(np.mean([np.var(row, ddof=1) for row in values])))


@pytest.mark.parametrize("group", GROUPS)
def test_a_difference_is_ours_minus_the_other_in_every_metric(group):
    found = splits(ours=0.5, cross_entropy=0.0)
    told = gains(found, OURS, [OTHER], bootstrap())[OTHER, group]
    for metric in METRICS:
        wanted = looped(found, OURS, group, metric).mean() - looped(found, OTHER, group, metric).mean()
        assert told[metric].mean == pytest.approx(wanted, abs=1e-6)


def test_what_is_better_is_found_better_and_what_is_worse_worse():
    found = splits(ours=1.5, cross_entropy=0.0, vos=9.0)
    far = Entrant("vos", "energy")
    told = gains(found, OURS, [OTHER, far], bootstrap())
    assert told[OTHER, "far"]["auroc"].verdict == "better"
    assert told[OTHER, "far"]["fpr95_ood_pos"].verdict == "better"
    assert told[far, "near"]["auroc"].verdict == "worse"


def width(found, group="near"):
    told = gains(found, OURS, [OTHER], bootstrap(1000))[OTHER, group]["auroc"]
    return told.high - told.low


def test_the_same_images_in_two_splits_decide_no_more_than_once():
    (one,) = splits(1, ours=1.0, cross_entropy=0.0)
    assert width([one, one]) == pytest.approx(width([one]), rel=1e-6)


def test_other_images_decide_more():
    """The scores of one split, as if of other images: by the noise of images the interval is narrower."""
    (one,) = splits(1, ours=1.0, cross_entropy=0.0)
    for scores in one.scores.values():
        for of in scores.of.values():
            of["knn"][:], of["msp"][:] = of["knn"][:1], of["msp"][:1]  # no noise of seeds
    other = one._replace(contents=contents(1000))
    assert width([one, other]) == pytest.approx(width([one]) / np.sqrt(2), rel=0.15)


def test_the_best_score_is_that_of_the_highest_auroc_on_the_group():
    found = splits(ours=0.5)
    for split in found:
        split.scores["ours"].of["held_out"]["gen"] += 5
        split.scores["ours"].of["noise"]["vim"] += 5
    assert [best_score(found, "ours", group) for group in ("near", "far")] == ["gen", "vim"]


def test_one_seed_has_no_spread():
    assert spread([np.array([0.5]), np.array([0.7])]) == (pytest.approx(0.6), None)


def hits(*shares, seeds=4, images=30):
    """Splits of other images each in which ours is right as often as it should be, and so is the other."""
    rng = np.random.default_rng(0)
    found = splits(len(shares), ours=0.0, cross_entropy=0.0)
    return [
        split._replace(
            scores={
                name: scores._replace(hits=rng.random((seeds, images)) < share)
                for (name, scores), share in zip(split.scores.items(), of, strict=True)
            }
        )
        for split, of in zip(found, shares, strict=True)
    ]


def right(split):
    """Of ours and of the other, (seeds, n)."""
    return (split.scores[name].hits.astype(float) for name in ("ours", "cross_entropy"))


def test_a_gain_of_accuracy_is_the_mean_over_splits():
    found = hits((0.9, 0.8), (0.7, 0.8))
    told = accuracy_gains(found, "ours", ["cross_entropy"], bootstrap())["cross_entropy"]
    wanted = [ours.mean() - other.mean() for ours, other in map(right, found)]
    assert told.mean == pytest.approx(np.mean(wanted))


def test_the_interval_of_accuracy_is_that_of_drawing_images_one_by_one_and_of_seeds():
    found = hits((0.9, 0.6))
    told = accuracy_gains(found, "ours", ["cross_entropy"], bootstrap(4000))["cross_entropy"]
    (ours, other), rng = right(found[0]), np.random.default_rng(0)
    draws = []
    for _ in range(4000):
        images = rng.integers(0, 30, 30)
        draws.append(np.mean([ours[s, i] - other[s, i] for s in range(4) for i in images]))
    seeds = training_noise(np.array([np.mean(of - its) for of, its in zip(ours, other, strict=True)]))
    mean = ours.mean() - other.mean()
    low, high = mean + np.array([-1, 1]) * np.hypot(np.quantile(draws, [0.025, 0.975]) - mean, seeds)
    assert (told.low, told.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def accuracy_width(found):
    told = accuracy_gains(found, "ours", ["cross_entropy"], bootstrap(1000))["cross_entropy"]
    return told.high - told.low


def test_images_of_two_splits_decide_no_more_of_accuracy_than_once():
    (one,) = hits((0.9, 0.6))
    assert accuracy_width([one, one]) == pytest.approx(accuracy_width([one]), rel=1e-6)


def test_what_is_true_of_every_image_is_sure():
    """A replicate may have more images of one split than of another: accuracy is of those it has."""
    found = hits((1.0, 0.0), (1.0, 0.0))
    told = accuracy_gains(found, "ours", ["cross_entropy"], bootstrap())["cross_entropy"]
    assert (told.mean, told.low, told.high, told.verdict) == (1, pytest.approx(1), pytest.approx(1), "better")
