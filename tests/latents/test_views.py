"""A training draws of each image the plain latent or one of its views, all equally likely."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.images.image_set import resized
from pipeline.latents.augmentation import ViewKey, view
from pipeline.latents.latents import load_id_train
from pipeline.latents.view_rows import load_training_rows, write_card
from pipeline.latents.views import viewed
from pipeline.params.data import DataParams
from pipeline.params.encode import ViewsParams
from pipeline.runtime.errors import IncompatibleStoreError, ModelError
from tests.helpers.make import SPACE, UNIT, latents_store, section, tiny_params, write_store

CPU, VIEWS, COUNT = torch.device("cpu"), Path("views"), 3
PARAMS = ViewsParams(count=COUNT, smallest_crop=0.5, flip=0.0, colour=0.0, gray=0.0, seed=7)


@pytest.fixture
def latents():
    return load_id_train(latents_store(Path("id"), per_class=4))


def write_views(latents, labels=None, space=SPACE):
    """Write a store whose rows are numbered: row r of it is r + 1 everywhere."""
    labels = np.repeat(latents.labels, COUNT) if labels is None else labels
    values = np.broadcast_to(np.arange(1, len(labels) + 1)[:, None, None, None], (len(labels), *SPACE.shape))
    columns = {"label": labels.astype(np.int32), "content": np.arange(len(labels))}
    write_store(VIEWS / "store", values.astype(np.float16), columns, "latents", latents.class_names, space, UNIT)
    write_card(VIEWS, COUNT)


def test_views_of_an_image_stand_together_and_each_image_is_read_once():
    images, read = section(DataParams, tiny_params()["data"]).open("id_validation"), []

    def counted(index):
        read.append(index)
        return images.read(index)

    seen = viewed(type(images)(images.labels, images.class_names, counted), 16, PARAMS)
    assert seen.labels.tolist() == [label for label in images.labels for _ in range(COUNT)]
    for index in range(4 * COUNT):
        row, number = divmod(index, COUNT)
        wanted = view(images.read(row).convert("RGB"), 16, PARAMS, ViewKey(7, row, number))
        np.testing.assert_array_equal(resized(seen.read(index), 16), wanted)
    assert read == [0, 1, 2, 3]


def test_without_views_rows_are_the_plain_latents_and_nothing_is_drawn(latents):
    write_card(VIEWS, 0)
    order, rows = torch.Generator().manual_seed(0), torch.tensor([5, 2, 2])
    before = order.get_state()
    found = load_training_rows(VIEWS, latents, CPU).take(rows, order)
    assert torch.equal(found, latents.values[rows])
    assert torch.equal(order.get_state(), before)
    assert torch.equal(load_training_rows(None, latents, CPU).take(rows, order), found)


def test_a_row_is_the_plain_latent_or_a_view_of_the_same_image_in_equal_shares(latents):
    write_views(latents)
    rows, order = torch.arange(12).repeat(400), torch.Generator().manual_seed(0)
    training = load_training_rows(VIEWS, latents, CPU)
    found = training.take(rows, order)
    mean, std = (
        torch.tensor(part) for part in (latents.header.standardisation.mean, latents.header.standardisation.std)
    )
    numbers = (found * std[:, None, None] + mean[:, None, None])[:, 0, 0, 0]
    plain = (found == latents.values[rows]).all(3).all(2).all(1)
    counts = np.zeros((12, COUNT + 1))
    for row, number, is_plain in zip(rows.tolist(), numbers.tolist(), plain.tolist(), strict=True):
        image, place = divmod(round(number) - 1, COUNT)
        assert is_plain or image == row
        counts[row, 0 if is_plain else place + 1] += 1
    assert counts.min() > 60
    assert counts.max() < 140
    assert torch.equal(training.values, latents.values)


def test_views_of_other_images_are_refused(latents):
    write_views(latents, labels=np.repeat(latents.labels, COUNT)[::-1])
    with pytest.raises(IncompatibleStoreError, match="views/store: its list of labels is .*, wanted '3 views of each"):
        load_training_rows(VIEWS, latents, CPU)


def test_views_of_another_encoder_are_refused(latents):
    write_views(latents, space=SPACE.model_copy(update={"encoder": "other"}))
    with pytest.raises(IncompatibleStoreError, match="encoder is 'other', wanted 'abc'"):
        load_training_rows(VIEWS, latents, CPU)


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"format": "latent-outliers-views/1", "count": "many"}'])
def test_without_a_card_the_stage_is_named(latents, content):
    if content is not None:
        VIEWS.mkdir()
        (VIEWS / "views.json").write_text(content)
    with pytest.raises(ModelError, match="views.json: found no account of views .* Run `dvc repro views`"):
        load_training_rows(VIEWS, latents, CPU)


def test_numbers_below_one_are_the_plain_latent(latents):
    write_views(latents)
    rows = load_training_rows(VIEWS, latents, CPU)
    images = torch.tensor([0, 1, 2])
    found = rows.encodings(images, torch.tensor([-1, 0, 1]))
    assert torch.equal(found[:2], latents.values[:2])
    assert not torch.equal(found[2], latents.values[2])


@pytest.mark.parametrize("count", [-1, 10**9, 2])
def test_a_card_with_another_number_of_views_is_refused(latents, count):
    write_views(latents)
    card = (VIEWS / "views.json").read_text().replace(str(COUNT), str(count))
    (VIEWS / "views.json").write_text(card)
    with pytest.raises((ModelError, IncompatibleStoreError), match="views"):
        load_training_rows(VIEWS, latents, CPU)
