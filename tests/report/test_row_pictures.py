"""A row is drawn from its latent where the encoder decodes, else as the image that it is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.images.image_set import resized
from pipeline.latents.augmentation import ViewKey, view
from pipeline.latents.latents import load_id_train
from pipeline.params.data import DataParams
from pipeline.params.encode import ViewsParams
from pipeline.params.methods.base import NOBODY
from pipeline.report.row_pictures import DecodedRows, OriginalRows, ShownViews
from pipeline.runtime.errors import IncompatibleStoreError
from pipeline.store.format import LATENT, Standardisation
from pipeline.store.reader import Store
from tests.helpers.make import default_params, latents_store, outliers_store, section, tiny_params

SCALING = Standardisation(mean=(1.0,) * 4, std=(2.0,) * 4)


class Doubling:
    """Stands in for an encoder that decodes: an image is the first channels of its latent, doubled."""

    def encode(self, images):
        return torch.nn.functional.avg_pool2d(images, 8) / 2

    def decode(self, latents):
        return 2 * latents[:, :3]


def rows_of(**changes):
    train = load_id_train(latents_store(Path("latents/id_train"), **changes))
    data = section(DataParams, tiny_params()["data"])
    return DecodedRows(Doubling(), train, Path("scores"), data)


def drawn(latents):
    return (2 * latents[:, :3] + 1).transpose(0, 2, 3, 1) / 2


@pytest.mark.parametrize("kind", [DecodedRows, OriginalRows])
def test_images_of_a_set_are_shown_as_they_are_in_the_order_asked_for(kind):
    data = section(DataParams, tiny_params()["data"])
    rows, images = rows_of() if kind is DecodedRows else OriginalRows(data), data.open("id_test")
    found = rows.image_set("id_test", np.array([4, 0]))
    for picture, row in zip(found.images, (4, 0), strict=True):
        np.testing.assert_allclose(picture * 255, resized(images.read(row), 32), atol=1e-4)
    assert found.names == [None, None]  # the digits are no files


def test_an_image_in_a_folder_has_the_name_of_its_file():
    Path("things").mkdir()
    for name in ("b.png", "a.png"):
        Image.new("RGB", (40, 40), (name[0] == "a" and "red") or "blue").save(Path("things") / name)
    content = tiny_params()["data"]
    source = {"kind": "folder_images", "path": "things", "images": None, "on_bad_image": "fail", "seed": 0}
    content["sources"]["things"] = source | {"largest_pixels": 10**6}
    content["sets"]["things"] = {"group": "far", "source": "things", "part": "all"}
    found = OriginalRows(section(DataParams, content)).image_set("things", np.array([1, 0]))
    assert found.names == ["b.png", "a.png"]
    assert found.images[1, 0, 0].tolist() == [1, 0, 0]


def test_a_set_whose_images_are_not_on_this_machine_has_no_pictures_and_a_warning_says_so(capfd):
    content = tiny_params()["data"]
    source = {"kind": "folder_images", "path": "gone", "images": None, "on_bad_image": "fail", "seed": 0}
    content["sources"]["gone"] = source | {"largest_pixels": 10**6}
    content["sets"]["gone"] = {"group": "far", "source": "gone", "part": "all"}
    assert OriginalRows(section(DataParams, content)).image_set("gone", np.array([0])) is None
    assert "the page has no pictures of gone: " in capfd.readouterr().err


def test_stand_ins_are_taken_from_beside_the_scores_and_scaled_back():
    folder = outliers_store(Path("scores/stand_in/mixup"), standardisation=SCALING)
    found = rows_of(standardisation=SCALING).image_set("stand_in/mixup", np.array([5, 2])).images
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


def test_without_a_decoder_parents_are_images_and_outliers_are_not_shown():
    rows = OriginalRows(section(DataParams, tiny_params()["data"]))
    assert rows.id_train(np.array([0])).shape == (1, 32, 32, 3)
    assert rows.outliers(torch.zeros(1, 4, 4, 4)) is None
    assert rows.image_set("stand_in/mixup", np.array([0])) is None


def test_a_parent_that_was_a_view_is_that_view_of_its_image():
    params = section(ViewsParams, default_params()["views"] | {"count": 3, "flip": 0.5, "colour": 0.3, "seed": 7})
    rows, shown = np.array([4, 0, 2]), ShownViews(params, np.array([0, 3, NOBODY]))
    data = section(DataParams, tiny_params()["data"])
    images = data.open("id_train")
    seen = view(images.read(0).convert("RGB"), 32, params, ViewKey(7, 0, 2))
    original = OriginalRows(data).id_train(rows, shown)
    for picture, wanted in zip(original, (resized(images.read(4), 32), seen, resized(images.read(2), 32)), strict=True):
        np.testing.assert_allclose(picture * 255, wanted, atol=1e-4)
    encoded = rows_of()
    decoded = encoded.id_train(rows, shown)  # its encoder takes the mean of 8 x 8 pixels
    np.testing.assert_allclose(decoded[1] * 255, seen.reshape(4, 8, 4, 8, 3).mean((1, 3)), atol=1e-2)
    np.testing.assert_array_equal(decoded[[0, 2]], encoded.id_train(rows)[[0, 2]])
