"""Metrics agree with loops over every pair and every threshold, and with scikit-learn, whatever the ties."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from pipeline.errors import ScoreError
from pipeline.score.metrics import Metrics, metrics, roc
from tests import oracles
from tests.make import ROOT

RNG = np.random.default_rng(0)
SCORES = arrays(np.float64, st.integers(1, 30), elements=st.integers(-4, 4).map(float))


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
        aupr_in_trapezoid=oracles.trapezoid(-unknown, -known),
        aupr_out_trapezoid=oracles.trapezoid(known, unknown),
        tie_fraction=sum(u == k for u in unknown for k in known) / (37 * 41),
    )
    np.testing.assert_allclose(metrics(known, unknown), wanted, atol=1e-12)


@given(known=SCORES, unknown=SCORES)
@settings(deadline=None)
def test_scikit_learn_and_openood_say_the_same(known, unknown):
    """OpenOOD's evaluation is scikit-learn's curves and the trapezoid rule, OOD labelled 1."""
    is_ood, scores = np.repeat([0, 1], [len(known), len(unknown)]), np.concatenate([known, unknown])
    fpr, tpr, _ = roc_curve(is_ood, scores, drop_intermediate=False)
    of_in, of_out = precision_recall_curve(1 - is_ood, -scores), precision_recall_curve(is_ood, scores)
    found = metrics(known, unknown)
    assert found.auroc == pytest.approx(roc_auc_score(is_ood, scores), abs=1e-12)
    assert found.aupr_in == pytest.approx(average_precision_score(1 - is_ood, -scores), abs=1e-12)
    assert found.aupr_out == pytest.approx(average_precision_score(is_ood, scores), abs=1e-12)
    assert found.fpr95_ood_pos == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-12)
    assert found.aupr_in_trapezoid == pytest.approx(auc(of_in[1], of_in[0]), abs=1e-12)
    assert found.aupr_out_trapezoid == pytest.approx(auc(of_out[1], of_out[0]), abs=1e-12)
    np.testing.assert_allclose(roc(known, unknown), (fpr, tpr), atol=1e-12)


@given(known=SCORES, unknown=SCORES)
@settings(deadline=None)
def test_a_monotone_transform_changes_nothing(known, unknown):
    assert metrics(np.exp(known), np.exp(unknown)) == metrics(known, unknown)
    assert metrics(3 * known - 7, 3 * unknown - 7) == metrics(known, unknown)


@given(known=SCORES, unknown=SCORES)
@settings(deadline=None)
def test_swapping_the_sides_flips_auroc(known, unknown):
    assert metrics(known, unknown).auroc == pytest.approx(1 - metrics(unknown, known).auroc, abs=1e-12)


@given(known=SCORES, unknown=SCORES)
@settings(deadline=None)
def test_negating_the_scores_of_swapped_sides_swaps_the_conventions(known, unknown):
    there, back = metrics(known, unknown), metrics(-unknown, -known)
    assert (there.fpr95_ood_pos, there.aupr_in) == (back.fpr95_id_pos, back.aupr_out)
    assert there.auroc == pytest.approx(back.auroc, abs=1e-12)


def test_the_two_conventions_of_fpr95_differ():
    known, unknown = np.concatenate([np.zeros(90), np.full(10, 5.0)]), np.full(100, 3.0)
    found = metrics(known, unknown)
    assert (found.fpr95_ood_pos, found.fpr95_id_pos) == (0.1, 1.0)


def test_a_perfect_detector_is_perfect_in_every_metric():
    found = metrics(np.arange(20.0), np.arange(20.0) + 100)
    assert found == Metrics(1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0)


def test_one_value_for_all_images_is_a_coin_toss():
    found = metrics(np.zeros(10), np.zeros(30))
    assert (found.auroc, found.fpr95_ood_pos, found.fpr95_id_pos, found.tie_fraction) == (0.5, 1.0, 1.0, 1.0)


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


@pytest.mark.slow
def test_ten_million_scores_take_seconds_and_little_memory(tell):
    """The acceptance line: within 30 s and 2 GiB; the process's peak is measured by itself."""
    code = (
        "import resource, time, numpy as np; from pipeline.score.metrics import metrics\n"
        "rng = np.random.default_rng(0); known = rng.standard_normal(5_000_000)\n"
        "unknown = rng.standard_normal(5_000_000) + 1; began = time.perf_counter(); found = metrics(known, unknown)\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "print(time.perf_counter() - began, peak, found.auroc)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, peak, auroc = map(float, done.stdout.split())
    assert auroc == pytest.approx(0.760, abs=0.001)  # Phi(1 / sqrt 2)
    assert peak < 2 * 2**30
    tell(f"metrics of 10,000,000 scores: {seconds:.1f} s, the process at most {peak / 2**30:.2f} GiB")
