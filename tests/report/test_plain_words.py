"""The first sentences say what was counted, and intervals are those of the textbook."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.report.plain_words import of_hundred, plain_sentences, share_interval
from tests.helpers.make import score_table
from tests.report.test_metrics_json import GROUPS, PARAMS, TABLE, reported, stood_in  # noqa: F401  # a fixture


@pytest.mark.parametrize(("hits", "images"), [(0, 10), (1, 10), (5, 10), (10, 10), (62, 100), (3, 3000)])
def test_the_interval_of_a_share_is_wilsons(hits, images):
    wanted = binomtest(hits, images).proportion_ci(method="wilson")
    np.testing.assert_allclose(share_interval(hits / images, images), [wanted.low, wanted.high], atol=1e-7)


def test_counts_are_means_over_seeds_of_what_the_thresholds_do():
    found = reported()
    known, others = found["counts"]["known"], found["counts"]["others"]
    hits = TABLE.predicted["detector", "id_test"] == TABLE.labels["id_test"]
    assert known["named_rightly"]["mean"] == pytest.approx(hits.mean())
    assert known["rejected"]["mean"] == found["threshold"]["id_rejection_test"]
    assert {name: entry["flagged"]["mean"] for name, entry in others.items()} == found["threshold"]["ood_detected"]
    assert [known["images"], *(entry["images"] for entry in others.values())] == [60] * 4
    for share in (known["named_rightly"], known["rejected"], *(entry["flagged"] for entry in others.values())):
        assert share["ci95"][0] <= share["mean"] <= share["ci95"][1]


def test_the_sentences_have_the_counts():
    found = reported()
    known, others = found["counts"]["known"], found["counts"]["others"]
    flagged, named, rejected = plain_sentences(found)
    close, remote, noise = (of_hundred(others[name]["flagged"]) for name in ("close", "remote", "noise"))
    assert (
        flagged == f"Of 100 images of other things it flags {close} of close, {remote} of remote and {noise} of noise."
    )
    assert named == f"It names {of_hundred(known['named_rightly'])} of 100 known images rightly."
    assert rejected == f"It wrongly rejects {of_hundred(known['rejected'])} of 100 known images."
    assert found["plain_words"] == [flagged, named, rejected]


def test_of_many_sets_the_least_and_the_most_are_told():
    shifts = {"c": 1.0, "a": 99.0, "d": 0.0, "b": 2.0}
    found = reported(score_table(shifts), {"near": [*shifts], "far": []})
    least, most = (of_hundred(found["counts"]["others"][name]["flagged"]) for name in ("d", "a"))
    assert found["plain_words"][0] == f"Of 100 images of other things it flags between {least} of d and {most} of a."


def test_a_share_is_a_whole_number_of_a_hundred_with_its_interval():
    assert of_hundred({"mean": 0.0712, "ci95": [0.034, 0.1389]}) == "7 (3 to 14)"


def test_stand_ins_are_not_called_images(stood_in):  # noqa: F811  # the fixture
    assert stood_in["plain_words"][0].startswith(
        "Of 100 synthetic outliers, which stand in for images of other things, "
    )


def test_without_ood_images_nothing_is_claimed_of_them():
    found = reported(score_table({}), {"near": [], "far": []})
    assert found["plain_words"][0] == "It was shown no images of other things."


def test_a_detector_that_flags_nothing_and_one_that_flags_all_say_so():
    useless, good = (reported(score_table({"others": shift}), {"near": ["others"], "far": []}) for shift in (0.0, 99.0))
    of_useless = useless["counts"]["others"]["others"]["flagged"]["mean"]
    assert of_useless < 0.2
    assert f"it flags {100 * of_useless:.0f} (" in useless["plain_words"][0]
    assert "it flags 100 (94 to 100) of others." in good["plain_words"][0]
