"""Two scores of the same images: the verdict is right as often as it says, and one run is judged by its images."""

import numpy as np
import pytest

from pipeline.posthoc.metrics import metrics
from pipeline.posthoc.paired import Scores, compare


def scores(seed, gain, images=300, seeds=None):
    """Return scores of two sides that share what is hard about an image; `gain` sets the second apart further."""
    rng = np.random.default_rng(seed)
    shape = (images,) if seeds is None else (seeds, images)
    known, other = rng.standard_normal((2, images))
    sides = []
    for apart in (1.0, 1.0 + gain):
        noise = 0.3 * rng.standard_normal((2, *shape))
        sides.append(Scores(known + noise[0], other + apart + noise[1]))
    return sides


@pytest.mark.parametrize("seeds", [None, 4])
def test_differences_are_those_of_the_metrics(seeds):
    baseline, other = scores(0, 0.5, seeds=seeds)
    found = compare(baseline, other, replicates=64)
    rows = [tuple(np.atleast_2d(values) for values in side) for side in (baseline, other)]
    for name, difference in found.items():
        before, after = ([getattr(metrics(*row), name) for row in zip(*side, strict=True)] for side in rows)
        assert difference.mean == pytest.approx(np.mean(after) - np.mean(before), abs=1e-6)
        assert difference.low <= difference.mean <= difference.high


@pytest.mark.parametrize("seeds", [None, 4])
def test_verdicts_are_better_worse_and_undecided(seeds):
    baseline, other = scores(1, 1.0, seeds=seeds)
    assert compare(baseline, other)["auroc"].verdict == "better"
    assert compare(other, baseline)["auroc"].verdict == "worse"
    assert {gain.verdict for gain in compare(baseline, other).values()} == {"better"}  # a lower FPR95 is one
    assert compare(baseline, baseline)["auroc"].verdict == "undecided"


def test_a_single_run_is_decided_by_its_images_and_many_by_their_spread_too():
    baseline, other = scores(2, 0.3)
    alone = compare(baseline, other)["auroc"]
    assert (alone.verdict, alone.from_seeds) == ("better", 0.0)
    several = [Scores(*(np.tile(values, (3, 1)) for values in side)) for side in (baseline, other)]
    uneven = Scores(several[1].id_images, several[1].ood_images + np.array([[-1.5], [0.0], [1.5]]))
    assert compare(several[0], uneven)["auroc"].verdict == "undecided"


def test_the_same_seed_gives_the_same_interval():
    baseline, other = scores(3, 0.2)
    assert compare(baseline, other, replicates=100) == compare(baseline, other, replicates=100)


@pytest.mark.parametrize(
    ("baseline", "other", "wanted"),
    [
        (Scores([1.0, 2.0], [3.0]), Scores([1.0], [3.0]), r"\(1, 2\) and \(1, 1\)"),
        (Scores([], [3.0]), Scores([], [3.0]), "same images"),
        (Scores([1.0, np.nan], [3.0]), Scores([1.0, 2.0], [3.0]), "not finite"),
        (Scores([[1.0], [2.0]], [3.0]), Scores([[1.0], [2.0]], [3.0]), "2 runs of ID images and 1 of OOD images"),
    ],
)
def test_scores_of_other_images_are_refused(baseline, other, wanted):
    with pytest.raises(ValueError, match=wanted):
        compare(baseline, other)
