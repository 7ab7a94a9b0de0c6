"""A row is drawn from its latent where the encoder decodes, else as the image that it is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.images.image_set import resized
from pipeline.latents.latents import load_id_train
from pipeline.params.data import DataParams
from pipeline.report.row_pictures import DecodedRows, OriginalRows
from pipeline.runtime.errors import IncompatibleStoreError
from pipeline.store.format import LATENT, Standardisation
from pipeline.store.reader import Store
from tests.helpers.make import SPACE, latents_store, outliers_store, section, tiny_params

SCALING = Standardisation(mean=(1.0,) * 4, std=(2.0,) * 4)


class Doubling:
    """Stands in for an encoder that decodes: an image is the first channels of its latent, doubled."""

    def decode(self, latents):
        return 2 * latents[:, :3]


def rows_of(**changes):
    train = load_id_train(latents_store(Path("latents/id_train"), **changes))
    return DecodedRows(Doubling(), train, Path("latents"), Path("scores"))


def drawn(latents):
    return (2 * latents[:, :3] + 1).transpose(0, 2, 3, 1) / 2


def test_rows_are_decoded_in_the_order_asked_for():
    folder = Path(latents_store(Path("latents/id_test")))
    found = rows_of().image_set("id_test", np.array([5, 2]))
    np.testing.assert_array_equal(found, drawn(Store(folder).take(LATENT, np.array([5, 2])).astype(np.float32)))


def test_latents_of_another_space_are_refused():
    latents_store(Path("latents/id_test"))
    other = SPACE.model_copy(update={"image_size": 64})
    with pytest.raises(IncompatibleStoreError, match="latents/id_test"):
        rows_of(space=other).image_set("id_test", np.array([0]))


def test_stand_ins_are_taken_from_beside_the_scores_and_scaled_back():
    folder = outliers_store(Path("scores/stand_in/mixup"), standardisation=SCALING)
    found = rows_of(standardisation=SCALING).image_set("stand_in/mixup", np.array([5, 2]))
    latents = 2 * Store(folder).take(LATENT, np.array([5, 2])).astype(np.float32) + 1
    np.testing.assert_allclose(found, drawn(latents), rtol=1e-6)
    with pytest.raises(IncompatibleStoreError, match="scores/stand_in/mixup: its standardisation"):
        rows_of().image_set("stand_in/mixup", np.array([0]))


def test_training_rows_and_outliers_are_scaled_back():
    rows, numbers = rows_of(standardisation=SCALING), np.array([3, 1])
    stored = Store(Path("latents/id_train")).take(LATENT, numbers).astype(np.float32)
    np.testing.assert_allclose(rows.id_train(numbers), drawn(stored), rtol=1e-5, atol=1e-6)
    standardised = torch.from_numpy((stored - 1) / 2)
    np.testing.assert_allclose(rows.outliers(standardised), drawn(stored), rtol=1e-5, atol=1e-6)


def test_without_a_decoder_images_are_shown_and_outliers_are_not():
    data = section(DataParams, tiny_params()["data"])
    rows, images = OriginalRows(data), data.open("id_test")
    found = rows.image_set("id_test", np.array([4, 0]))
    for picture, row in zip(found, (4, 0), strict=True):
        np.testing.assert_allclose(picture * 255, resized(images.read(row), 32), atol=1e-4)
    assert rows.id_train(np.array([0])).shape == (1, 32, 32, 3)
    assert rows.outliers(torch.zeros(1, 4, 4, 4)) is None
    assert rows.image_set("stand_in/mixup", np.array([0])) is None
