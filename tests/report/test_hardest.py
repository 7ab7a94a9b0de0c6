"""The hardest images are those farthest on the wrong side, and each is told as its detectors see it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.report.hardest import hardest_images, hardest_rows, row_decoder
from pipeline.runtime.errors import IncompatibleStoreError
from pipeline.store.format import LATENT, Standardisation
from pipeline.store.reader import Store
from tests.helpers.make import SPACE, latents_store, outliers_store

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


def found():
    return hardest_images(TABLE, METRICS, 3, lambda image_set, rows: rows[:, None, None, None] * np.ones((1, 2, 2, 3)))


def test_every_set_is_shown_with_its_own_pictures():
    assert {name: [one.image[0, 0, 0] for one in images] for name, images in found().items()} == {
        "id_test": [2, 3, 1],
        "far": [1, 2, 0],
    }


def test_scores_and_thresholds_are_means_and_each_seed_has_its_own_threshold():
    one = found()["id_test"][2]
    assert (one.score, one.threshold, one.flagged_by) == (3.0, 3.0, 1)


def test_an_id_image_has_a_class_and_an_outlier_has_none():
    images = found()
    assert [one.truth for one in images["id_test"]] == ["a", "b", "b"]
    assert [one.truth for one in images["far"]] == [None] * 3


def test_the_class_most_detectors_predict_is_told():
    assert [one.predicted for one in found()["id_test"]] == ["a", "b", "a"]


class Doubling:
    """Stands in for an autoencoder: an image is the first channels of its latent, doubled."""

    def decode(self, latents):
        return 2 * latents[:, :3]


def pictures(id_train):
    return row_decoder(Path("latents"), Path("scores"), id_train, Doubling())


def test_rows_are_decoded_in_the_order_asked_for():
    folder = Path(latents_store(Path("latents/id_test")))
    found = pictures(Store(folder).header)("id_test", np.array([5, 2]))
    latents = Store(folder).take(LATENT, np.array([5, 2])).astype(np.float32)
    np.testing.assert_array_equal(found, (2 * latents[:, :3] + 1).transpose(0, 2, 3, 1) / 2)


def test_latents_of_another_space_are_refused():
    header = Store(latents_store(Path("latents/id_test"))).header
    other = header.model_copy(update={"space": SPACE.model_copy(update={"image_size": 64})})
    with pytest.raises(IncompatibleStoreError, match="latents/id_test"):
        pictures(other)("id_test", np.array([0]))


def test_stand_ins_are_taken_from_beside_the_scores_and_scaled_back():
    scaling = Standardisation(mean=(1.0,) * 4, std=(2.0,) * 4)
    folder = outliers_store(Path("scores/stand_in/mixup"), standardisation=scaling)
    id_train = Store(latents_store(Path("latents/id_train"), standardisation=scaling)).header
    found = pictures(id_train)("stand_in/mixup", np.array([5, 2]))
    latents = 2 * Store(folder).take(LATENT, np.array([5, 2])).astype(np.float32) + 1
    np.testing.assert_allclose(found, (2 * latents[:, :3] + 1).transpose(0, 2, 3, 1) / 2, rtol=1e-6)
    with pytest.raises(IncompatibleStoreError, match="scores/stand_in/mixup: its standardisation"):
        pictures(Store(latents_store(Path("latents/other"))).header)("stand_in/mixup", np.array([0]))
