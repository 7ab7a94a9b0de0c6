"""A threshold is fitted on ID validation images only, and says for which weights it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.files import json_bytes
from pipeline.score.decision import Decision, decide, rejected, write_decisions
from tests.make import score_table

TABLE = score_table({"noise": 9.0})


@pytest.mark.parametrize("id_rejection", [0.05, 0.5, 0.01])
def test_the_threshold_is_the_lowest_that_rejects_no_more_of_validation_than_asked(id_rejection):
    for index, decision in enumerate(decide(TABLE, "knn", id_rejection)):
        scores = TABLE.scores["detector", "id_validation", "knn"][index]
        candidates = sorted(value for value in scores if (scores > value).mean() <= id_rejection)
        assert decision.threshold == candidates[0]
        assert decision.id_rejection_validation == (scores > candidates[0]).mean() <= id_rejection


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


def test_a_decision_is_written_for_each_seed():
    decisions = decide(TABLE, "vim", 0.05)
    write_decisions(Path("decision"), decisions)
    assert sorted(path.name for path in Path("decision").iterdir()) == ["0.json", "1.json", "2.json"]
    written = Path("decision/2.json").read_bytes()
    assert Decision.model_validate_json(written) == decisions[2]
    assert written == json_bytes(json.loads(written))
    assert json.loads(written)["weights"] == "weights of 2"
    assert np.isfinite(decisions[2].threshold)
