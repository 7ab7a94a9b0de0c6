"""The hardest images are those farthest on the wrong side, and each is told as its detectors see it."""

from types import SimpleNamespace

import numpy as np

from pipeline.params.score import ScoreParams
from pipeline.report.hardest import hardest_images, hardest_rows
from pipeline.report.row_pictures import SetPictures
from tests.helpers.make import default_params, section

SCORES = {
    ("detector", "id_test", "knn"): np.array([[1.0, 5.0, 3.0, 3.0], [1.0, 1.0, 4.0, 4.0]]),  # means 1, 3, 3.5, 3.5
    ("detector", "far", "knn"): np.array([[9.0, 2.0, 8.0], [9.0, 4.0, 1.0]]),  # means 9, 3, 4.5
}
TABLE = SimpleNamespace(
    seeds=(0, 7),
    class_names=("a", "b"),
    labels={"id_test": np.array([0, 1, 0, 1]), "far": np.full(3, -1)},
    scores=SCORES,
    predicted={
        ("detector", "id_test"): np.array([[0, 0, 1, 1], [0, 0, 0, 1]]),
        ("detector", "far"): np.ones((2, 3), int),
    },
)
METRICS = {"score": "knn", "sets": {"far": {}}, "threshold": {"values": {"0": 2.5, "7": 3.5}}}


def test_of_id_images_the_largest_mean_scores_are_hardest_and_ties_keep_their_order():
    assert hardest_rows(TABLE, "knn", "id_test", 3).tolist() == [2, 3, 1]


def test_of_outliers_the_smallest_mean_scores_are_hardest():
    assert hardest_rows(TABLE, "knn", "far", 2).tolist() == [1, 2]


def test_no_more_images_than_there_are():
    assert len(hardest_rows(TABLE, "knn", "far", 9)) == 3


class Numbered:
    """Stands in for pictures of rows: every value of a picture is the number of its row."""

    def image_set(self, name, rows):
        return SetPictures(rows[:, None, None, None] * np.ones((1, 2, 2, 3)), [f"{row}.jpg" for row in rows])


def found(**changes):
    params = section(ScoreParams, default_params()["score"]).model_copy(update={"hardest_pictures": 3, **changes})
    return hardest_images(TABLE, METRICS, params, Numbered())


def test_every_set_is_shown_with_its_own_pictures():
    assert {name: [one.image[0, 0, 0] for one in images] for name, images in found().items()} == {
        "id_test": [2, 3, 1],
        "far": [1, 2, 0],
    }


def test_scores_and_thresholds_are_means_and_each_seed_has_its_own_threshold():
    one = found()["id_test"][2]
    assert (one.score, one.threshold, one.flagged_by, one.flagged) == (3.0, 3.0, 1, False)


def test_an_image_is_called_what_the_scores_that_are_shown_say():
    for images in found().values():
        assert all(one.flagged == (one.score > one.threshold) for one in images)


def test_files_are_named_unless_the_page_is_not_to_name_them():
    assert [one.file for one in found()["id_test"]] == ["2.jpg", "3.jpg", "1.jpg"]
    assert [one.file for one in found(file_names=False)["id_test"]] == [None] * 3


def test_an_id_image_has_a_class_and_an_outlier_has_none():
    images = found()
    assert [one.truth for one in images["id_test"]] == ["a", "b", "b"]
    assert [one.truth for one in images["far"]] == [None] * 3


def test_the_class_most_detectors_predict_is_told():
    assert [one.predicted for one in found()["id_test"]] == ["a", "b", "a"]
