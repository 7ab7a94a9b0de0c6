"""What another threshold does is counted image by image, and told in a sentence of these counts."""

import numpy as np
import pytest

from pipeline.posthoc.decision import decide
from pipeline.report.other_thresholds import REJECTIONS, other_thresholds, threshold_words
from tests.helpers.make import score_table

TABLE = score_table({"close": 1.0, "remote": 3.0}, seeds=(0, 1))
FOUND = other_thresholds(TABLE, "knn", ["close", "remote"], 0.04)


def test_there_is_one_for_each_share_and_for_the_chosen_one():
    assert [float(share) for share in FOUND] == sorted({*REJECTIONS, 0.04})


@pytest.mark.parametrize("share", FOUND)
def test_shares_are_those_of_counting(share):
    entry, decisions = FOUND[share], decide(TABLE, "knn", float(share))
    rejected, kept_rightly, flagged = [], [], []
    for seed, decision in enumerate(decisions):
        above = [score > decision.threshold for score in TABLE.scores["detector", "id_test", "knn"][seed]]
        hits = [
            a == b for a, b in zip(TABLE.predicted["detector", "id_test"][seed], TABLE.labels["id_test"], strict=True)
        ]
        rejected.append(np.mean(above))
        kept_rightly.append(np.mean([hit for hit, out in zip(hits, above, strict=True) if not out]))
        flagged.append(
            np.mean([score > decision.threshold for score in TABLE.scores["detector", "close", "knn"][seed]])
        )
    assert entry["rejected"] == pytest.approx(np.mean(rejected))
    assert entry["kept_named_rightly"] == pytest.approx(np.mean(kept_rightly))
    assert entry["flagged"]["close"] == pytest.approx(np.mean(flagged))
    assert entry["threshold"] == pytest.approx(np.mean([decision.threshold for decision in decisions]))


def test_the_more_is_rejected_the_more_is_flagged():
    for name in ("close", "remote"):
        shares = [entry["flagged"][name] for entry in FOUND.values()]
        assert shares == sorted(shares)


def test_the_sentence_says_the_counts():
    entry = {"threshold": 65.93, "rejected": 0.062, "kept_named_rightly": 0.931, "flagged": {"textures": 0.72}}
    assert threshold_words("0.05", entry) == (
        "Rejecting at most 5 of 100 known images (threshold 65.9), it flags 72 of 100 of textures; it wrongly rejects "
        "6 of 100 known test images, and of those it keeps it names 93 of 100 rightly."
    )


def test_without_other_images_and_where_none_is_kept_the_sentence_is_shorter():
    entry = {"threshold": 1.0, "rejected": 1.0, "kept_named_rightly": None, "flagged": {}}
    assert threshold_words("0.5", entry) == (
        "Rejecting at most 50 of 100 known images (threshold 1.00); it wrongly rejects 100 of 100 known test images."
    )
