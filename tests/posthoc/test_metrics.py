"""Metrics agree with loops over every pair and every threshold, and with scikit-learn, whatever the ties."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from pipeline.posthoc.metrics import Metrics, metrics, roc
from pipeline.runtime.errors import ScoreError
from tests.helpers import oracles
from tests.helpers.make import ROOT

RNG = np.random.default_rng(0)
SCORES = arrays(np.float64, st.integers(1, 30), elements=st.integers(-4, 4).map(float))


def draw(ties):
    id_scores, ood_scores = RNG.standard_normal(37), RNG.standard_normal(41) + 0.7
    return (np.round(id_scores, 0), np.round(ood_scores, 0)) if ties else (id_scores, ood_scores)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("repetition", range(5))
def test_all_metrics_agree_with_their_definitions(ties, repetition):
    id_scores, ood_scores = draw(ties)
    wanted = Metrics(
        auroc=oracles.auroc(id_scores, ood_scores),
        fpr95_ood_pos=oracles.fpr95(id_scores, ood_scores),
        fpr95_id_pos=oracles.fpr95(-ood_scores, -id_scores),
        aupr_in=oracles.average_precision(-ood_scores, -id_scores),
        aupr_out=oracles.average_precision(id_scores, ood_scores),
        aupr_in_trapezoid=oracles.trapezoid(-ood_scores, -id_scores),
        aupr_out_trapezoid=oracles.trapezoid(id_scores, ood_scores),
        tie_fraction=sum(ood == id_ for ood in ood_scores for id_ in id_scores) / (37 * 41),
    )
    np.testing.assert_allclose(metrics(id_scores, ood_scores), wanted, atol=1e-12)


@given(id_scores=SCORES, ood_scores=SCORES)
@settings(deadline=None)
def test_scikit_learn_and_openood_say_the_same(id_scores, ood_scores):
    """OpenOOD's evaluation is scikit-learn's curves and the trapezoid rule, OOD labelled 1."""
    is_ood, scores = np.repeat([0, 1], [len(id_scores), len(ood_scores)]), np.concatenate([id_scores, ood_scores])
    fpr, tpr, _ = roc_curve(is_ood, scores, drop_intermediate=False)
    of_in, of_out = precision_recall_curve(1 - is_ood, -scores), precision_recall_curve(is_ood, scores)
    result = metrics(id_scores, ood_scores)
    assert result.auroc == pytest.approx(roc_auc_score(is_ood, scores), abs=1e-12)
    assert result.aupr_in == pytest.approx(average_precision_score(1 - is_ood, -scores), abs=1e-12)
    assert result.aupr_out == pytest.approx(average_precision_score(is_ood, scores), abs=1e-12)
    assert result.fpr95_ood_pos == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-12)
    assert result.aupr_in_trapezoid == pytest.approx(auc(of_in[1], of_in[0]), abs=1e-12)
    assert result.aupr_out_trapezoid == pytest.approx(auc(of_out[1], of_out[0]), abs=1e-12)
    np.testing.assert_allclose(roc(id_scores, ood_scores), (fpr, tpr), atol=1e-12)


@given(id_scores=SCORES, ood_scores=SCORES)
@settings(deadline=None)
def test_a_monotone_transform_changes_nothing(id_scores, ood_scores):
    assert metrics(np.exp(id_scores), np.exp(ood_scores)) == metrics(id_scores, ood_scores)
    assert metrics(3 * id_scores - 7, 3 * ood_scores - 7) == metrics(id_scores, ood_scores)


@given(id_scores=SCORES, ood_scores=SCORES)
@settings(deadline=None)
def test_swapping_the_sides_flips_auroc(id_scores, ood_scores):
    assert metrics(id_scores, ood_scores).auroc == pytest.approx(1 - metrics(ood_scores, id_scores).auroc, abs=1e-12)


@given(id_scores=SCORES, ood_scores=SCORES)
@settings(deadline=None)
def test_negating_the_scores_of_swapped_sides_swaps_the_conventions(id_scores, ood_scores):
    there, back = metrics(id_scores, ood_scores), metrics(-ood_scores, -id_scores)
    assert (there.fpr95_ood_pos, there.aupr_in) == (back.fpr95_id_pos, back.aupr_out)
    assert there.auroc == pytest.approx(back.auroc, abs=1e-12)


def test_the_two_conventions_of_fpr95_differ():
    id_scores, ood_scores = np.concatenate([np.zeros(90), np.full(10, 5.0)]), np.full(100, 3.0)
    result = metrics(id_scores, ood_scores)
    assert (result.fpr95_ood_pos, result.fpr95_id_pos) == (0.1, 1.0)


def test_a_perfect_detector_is_perfect_in_every_metric():
    result = metrics(np.arange(20.0), np.arange(20.0) + 100)
    assert result == Metrics(1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0)


def test_one_value_for_all_images_is_a_coin_toss():
    result = metrics(np.zeros(10), np.zeros(30))
    assert (result.auroc, result.fpr95_ood_pos, result.fpr95_id_pos, result.tie_fraction) == (0.5, 1.0, 1.0, 1.0)


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
        "import resource, time, numpy as np; from pipeline.posthoc.metrics import metrics\n"
        "rng = np.random.default_rng(0); id_scores = rng.standard_normal(5_000_000)\n"
        "ood_scores = rng.standard_normal(5_000_000) + 1\n"
        "began = time.perf_counter(); result = metrics(id_scores, ood_scores)\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "print(time.perf_counter() - began, peak, result.auroc)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, peak, auroc = map(float, done.stdout.split())
    assert auroc == pytest.approx(0.760, abs=0.001)  # Phi(1 / sqrt 2)
    assert peak < 2 * 2**30
    tell(f"metrics of 10,000,000 scores: {seconds:.1f} s, the process at most {peak / 2**30:.2f} GiB")
