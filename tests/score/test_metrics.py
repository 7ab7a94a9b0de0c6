"""Metrics agree with loops over every pair and every threshold, whatever the ties."""

import numpy as np
import pytest

from pipeline.errors import ScoreError
from pipeline.score.metrics import Metrics, metrics, roc
from tests import oracles

RNG = np.random.default_rng(0)


def draw(ties):
    known, unknown = RNG.standard_normal(37), RNG.standard_normal(41) + 0.7
    return (np.round(known, 0), np.round(unknown, 0)) if ties else (known, unknown)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("repetition", range(5))
def test_all_metrics_agree_with_their_definitions(ties, repetition):
    known, unknown = draw(ties)
    wanted = Metrics(
        auroc=oracles.auroc(known, unknown),
        fpr95_ood_pos=oracles.fpr95(known, unknown),
        fpr95_id_pos=oracles.fpr95(-unknown, -known),
        aupr_in=oracles.average_precision(-unknown, -known),
        aupr_out=oracles.average_precision(known, unknown),
    )
    np.testing.assert_allclose(metrics(known, unknown), wanted, atol=1e-12)


def test_the_two_conventions_of_fpr95_differ():
    known, unknown = np.concatenate([np.zeros(90), np.full(10, 5.0)]), np.full(100, 3.0)
    found = metrics(known, unknown)
    assert (found.fpr95_ood_pos, found.fpr95_id_pos) == (0.1, 1.0)


def test_a_perfect_detector_is_perfect_in_every_metric():
    found = metrics(np.arange(20.0), np.arange(20.0) + 100)
    assert found == Metrics(auroc=1.0, fpr95_ood_pos=0.0, fpr95_id_pos=0.0, aupr_in=1.0, aupr_out=1.0)


def test_one_value_for_all_images_is_a_coin_toss():
    found = metrics(np.zeros(10), np.zeros(30))
    assert (found.auroc, found.fpr95_ood_pos, found.fpr95_id_pos) == (0.5, 1.0, 1.0)


def test_swapping_the_sides_flips_auroc():
    known, unknown = draw(ties=True)
    assert metrics(known, unknown).auroc == pytest.approx(1 - metrics(unknown, known).auroc, abs=1e-12)


def test_a_monotone_transform_changes_nothing():
    known, unknown = draw(ties=False)
    assert metrics(np.exp(known), np.exp(unknown)) == metrics(known, unknown)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(broken):
    with pytest.raises(ScoreError, match="OOD scores: 1 of 2 are not finite, wanted all"):
        metrics(np.zeros(3), np.array([0.0, broken]))


def test_one_side_alone_is_refused():
    with pytest.raises(ScoreError, match="ID scores: found none, wanted one or more"):
        metrics(np.zeros(0), np.zeros(3))


def test_a_roc_curve_runs_from_corner_to_corner():
    curve = roc(*draw(ties=True))
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
