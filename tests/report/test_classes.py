"""Each class is told by its own ID test images: what they are taken for, and how many are rejected."""

from types import SimpleNamespace

import numpy as np

from pipeline.report.classes import class_figures, confusion

TABLE = SimpleNamespace(
    class_names=("a", "b", "c"),
    labels={"id_test": np.array([0, 0, 1, 1, 1])},
    predicted={("detector", "id_test"): np.array([[0, 1, 1, 1, 0], [0, 1, 1, 0, 0]])},
    scores={("detector", "id_test", "knn"): np.array([[1.0, 5.0, 1.0, 1.0, 5.0], [1.0, 1.0, 1.0, 1.0, 5.0]])},
)
DECISIONS = [SimpleNamespace(score="knn", threshold=threshold) for threshold in (2.0, 0.5)]


def test_a_line_of_the_confusion_is_what_a_class_is_taken_for_over_all_seeds():
    np.testing.assert_allclose(confusion(TABLE), [[2 / 4, 2 / 4, 0], [3 / 6, 3 / 6, 0], [0, 0, 0]])


def test_a_class_has_its_share_named_rightly_and_rejected_at_each_seeds_threshold():
    found = class_figures(TABLE, DECISIONS)
    assert found["a"] == {"images": 2, "named_rightly": 0.5, "rejected": 3 / 4, "taken_for": "b"}
    assert found["b"] == {"images": 3, "named_rightly": 0.5, "rejected": 4 / 6, "taken_for": "a"}


def test_a_class_without_test_images_has_no_shares():
    assert class_figures(TABLE, DECISIONS)["c"] == dict.fromkeys(("named_rightly", "rejected", "taken_for")) | {
        "images": 0
    }


def test_a_class_that_is_never_taken_for_another_says_so():
    always_right = SimpleNamespace(
        class_names=("a", "b"),
        labels={"id_test": np.array([0, 1])},
        predicted={("detector", "id_test"): np.array([[0, 1]])},
        scores={("detector", "id_test", "knn"): np.zeros((1, 2))},
    )
    assert class_figures(always_right, DECISIONS[:1])["a"]["taken_for"] is None
