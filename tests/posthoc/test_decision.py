"""A threshold is fitted on ID validation images only, and says for which weights it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.posthoc.decision import Decision, decide, fitted_threshold, rejected, write_decisions
from pipeline.runtime.errors import PipelineError, ScoreError
from pipeline.runtime.files import json_bytes
from tests.helpers.make import score_table
from tests.posthoc.make import with_scores

TABLE = score_table({"noise": 9.0})


def loop_threshold(scores, id_rejection):
    """Try every score, from the lowest on, as the largest that is accepted."""
    for score in sorted(scores):
        larger = [other for other in scores if other > score]
        if len(larger) / len(scores) <= id_rejection:
            return (score + min(larger)) / 2
    raise AssertionError


@pytest.mark.parametrize("id_rejection", [0.05, 0.5, 0.02])
def test_the_threshold_is_midway_above_the_lowest_score_that_keeps_the_promise(id_rejection):
    for index, decision in enumerate(decide(TABLE, "knn", id_rejection)):
        scores = TABLE.scores["detector", "id_validation", "knn"][index]
        assert decision.threshold == pytest.approx(loop_threshold(scores.tolist(), id_rejection), rel=1e-12)
        assert decision.id_rejection_validation == (scores > decision.threshold).mean() <= id_rejection


def test_a_last_digit_flips_no_image_that_the_threshold_was_fitted_on():
    scores = TABLE.scores["detector", "id_validation", "knn"][0]
    threshold, gap = fitted_threshold(scores, 0.05), np.diff(np.sort(scores)).min()
    for sign in (-1, 1):
        np.testing.assert_array_equal(scores + sign * 0.4 * gap > threshold, scores > threshold)


@pytest.mark.parametrize(
    ("scores", "threshold"),
    [
        ([1.0, 2.0, 2.0, 4.0], 3.0),  # a quarter may go: the 4
        ([1.0, 2.0, 4.0, 4.0], 4.5),  # one of the two 4s may not go alone, so none goes
        ([0.0, 1.0, 2.0], 2.5),  # a quarter of three is none
        ([7.0, 7.0, 7.0, 7.0], 7.0),
        ([7.0], 7.0),
        ([0.0, 0.0, 0.0, 5e-324], 0.0),  # no number lies between them
        ([1.0, 1.0, 1.0, 1.0 + 2**-52], 1.0),
        ([-1.5e308, -1.5e308, -1.5e308, 1.5e308], 0.0),
    ],
)
def test_ties_and_ends_have_a_threshold_that_rejects_no_more_than_asked(scores, threshold):
    assert fitted_threshold(np.array(scores), 0.25) == pytest.approx(threshold)
    assert (np.array(scores) > fitted_threshold(np.array(scores), 0.25)).mean() <= 0.25


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_have_no_threshold(broken):
    """NaN would be sorted behind the largest score, and every comparison with it is false."""
    with pytest.raises(ScoreError, match="scores of ID validation images are not finite, wanted all"):
        fitted_threshold(np.array([1.0, broken, 3.0]), 0.5)


def test_other_images_have_no_say():
    other = score_table({"noise": 9.0, "id_test": 7.0})
    other.scores.update({key: values for key, values in TABLE.scores.items() if key[1] == "id_validation"})
    assert decide(other, "knn", 0.05) == decide(TABLE, "knn", 0.05)


def test_images_at_the_threshold_are_accepted():
    table = score_table({})
    table.scores["detector", "id_test", "msp"][:] = table.scores["detector", "id_validation", "msp"][:] = 1.0
    assert rejected(table, decide(table, "msp", 0.05), "id_test") == 0


def test_outliers_far_away_are_all_rejected():
    assert rejected(TABLE, decide(TABLE, "knn", 0.05), "noise") == 1


def test_a_score_that_the_table_has_not_is_named():
    with pytest.raises(PipelineError, match="the table of scores has no 'knn', only msp, vim. Run `dvc repro infer`"):
        decide(with_scores(TABLE, "msp", "vim"), "knn", 0.05)


def test_a_decision_is_written_for_each_seed():
    decisions = decide(TABLE, "vim", 0.05)
    write_decisions(Path("decision"), decisions)
    assert sorted(path.name for path in Path("decision").iterdir()) == ["0.json", "1.json", "2.json"]
    written = Path("decision/2.json").read_bytes()
    assert Decision.model_validate_json(written) == decisions[2]
    assert written == json_bytes(json.loads(written))
    assert json.loads(written)["weights"] == "weights of 2"
    assert np.isfinite(decisions[2].threshold)
