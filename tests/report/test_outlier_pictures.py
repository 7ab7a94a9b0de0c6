"""A picture says of an outlier what its store says: its parents if it has any, its classes and shares."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.params.encode import ViewsParams
from pipeline.params.methods.base import NOBODY
from pipeline.report.outlier_pictures import outlier_picture_rows
from pipeline.store.reader import Store
from tests.helpers.make import default_params, latents_store, outliers_store, section

METHOD = {"method": np.zeros(40)}


class Latents:
    """Stands in for pictures of rows: a picture is the latent itself."""

    def __init__(self, id_train, *, decodes):
        self.values, self.decodes, self.views = id_train.values, decodes, []

    def id_train(self, rows, views):
        self.views.append(views)
        return self.values[torch.from_numpy(rows)]

    def outliers(self, latents):
        return latents if self.decodes else None


@pytest.fixture
def drawn():
    """Return a function that makes a store of 40 rows and returns the lines of its picture."""

    def draw(*, made_from=None, decodes=True, **columns):
        id_train = load_id_train(latents_store(Path("id")))
        store = Store(outliers_store(Path("s"), latents=made_from or id_train.digest, **METHOD, **columns))
        store.header.provenance.update(method="m", method_names=["m/one"])
        lines = outlier_picture_rows(store, id_train, Latents(id_train, decodes=decodes), 4)
        return {line.name: line for line in lines}

    return draw


def test_rows_without_parents_stand_alone_under_their_classes(drawn):
    lines = drawn(lam=np.full(40, 0.3))
    assert [*lines] == ["outlier"]
    assert lines["outlier"].titles[3] == "one\n30% 'class 0'\n+ 70% 'class 1'"


def test_a_caption_has_every_class_and_its_share(drawn):
    shares = {"lam": np.full(40, 0.4), "lam_3": np.full(40, 0.25)}
    lines = drawn(class_3=np.full(40, 2), parent_3=np.full(40, NOBODY), **shares)
    assert lines["outlier"].titles[3] == "one\n40% 'class 0'\n+ 35% 'class 1'\n+ 25% 'class 2'"


def test_of_two_classes_in_a_store_of_three_a_caption_has_two(drawn):
    lines = drawn(lam=np.full(40, 0.3), class_3=np.full(40, NOBODY), lam_3=np.zeros(40))
    assert lines["outlier"].titles[3] == "one\n30% 'class 0'\n+ 70% 'class 1'"


def test_rows_of_no_class_say_so(drawn):
    lines = drawn(class_a=np.full(40, NOBODY), class_b=np.full(40, NOBODY))
    assert lines["outlier"].titles == ["no class"] * 4


def test_rows_of_one_parent_stand_under_it(drawn):
    same = np.arange(40)
    lines = drawn(parent_a=same, parent_b=same, class_a=same % 3, class_b=same % 3)
    assert [*lines] == ["parent", "outlier"]
    assert lines["parent"].titles == [f"class {row % 3}" for row in (0, 13, 26, 39)]
    known = load_id_train(Path("id")).values
    assert torch.equal(lines["parent"].images, known[[0, 13, 26, 39]])


def test_rows_of_two_parents_stand_under_both(drawn):
    lines = drawn(parent_a=np.arange(40), parent_b=np.arange(40)[::-1])
    assert [*lines] == ["parent a", "parent b", "outlier"]
    assert torch.equal(lines["parent b"].images, load_id_train(Path("id")).values[[39, 26, 13, 0]])


def test_rows_of_three_parents_stand_under_all_of_them(drawn):
    third = np.where(np.arange(40) == 13, NOBODY, 5)
    shares = np.full(40, 0.2)
    lines = drawn(
        parent_a=np.arange(40), parent_b=np.arange(40)[::-1], parent_3=third, lam_3=shares, class_3=np.full(40, 2)
    )
    assert [*lines] == ["parent a", "parent b", "parent 3", "outlier"]
    assert torch.equal(lines["parent 3"].images[[0, 2, 3]], load_id_train(Path("id")).values[[5, 5, 5]])
    assert [line.absent for line in lines.values()] == [set(), set(), {1}, set()]


def test_parents_of_other_id_latents_are_not_looked_for_among_these(drawn):
    """An imported store may name rows that are not there, or are of other images."""
    far = np.arange(40) + 10**6
    lines = drawn(made_from="of another project", parent_a=far, parent_b=far)
    assert [*lines] == ["outlier"]


def test_outliers_that_cannot_be_decoded_are_left_out_and_their_parents_stay(drawn):
    lines = drawn(decodes=False, parent_a=np.arange(40), parent_b=np.arange(40)[::-1])
    assert [*lines] == ["parent a", "parent b"]
    assert lines["parent a"].titles[3] == "one\n100% 'class 0'\n+ 0% 'class 1'"
    assert drawn(decodes=False, class_a=np.full(40, NOBODY), class_b=np.full(40, NOBODY)) == {}


def test_parents_are_shown_as_the_views_that_they_were():
    id_train = load_id_train(latents_store(Path("id")))
    made_from = {"store": "abc", **default_params()["views"], "count": 5, "seed": 7}
    parents = {"parent_a": np.arange(40), "parent_b": np.arange(40)[::-1]}
    numbers = {"view_a": np.arange(40) % 6, "view_b": np.arange(40) % 5}
    store = Store(outliers_store(Path("s"), latents=id_train.digest, views=made_from, **METHOD, **parents, **numbers))
    store.header.provenance.update(method_names=["m/one"])
    pictures = Latents(id_train, decodes=True)
    outlier_picture_rows(store, id_train, pictures, 4)
    assert [views.numbers.tolist() for views in pictures.views] == [[0, 1, 2, 3], [0, 3, 1, 4]]
    assert {views.params for views in pictures.views} == {
        section(ViewsParams, {name: value for name, value in made_from.items() if name != "store"})
    }


@pytest.mark.parametrize("made_from", [{}, {"store": "abc"}])
def test_views_of_which_nothing_is_known_are_shown_as_plain_latents(made_from):
    id_train = load_id_train(latents_store(Path("id")))
    parents = dict.fromkeys(("parent_a", "parent_b", "view_a", "view_b"), np.arange(40) % 6)
    store = Store(outliers_store(Path("s"), latents=id_train.digest, views=made_from, **METHOD, **parents))
    store.header.provenance.update(method_names=["m/one"])
    pictures = Latents(id_train, decodes=True)
    outlier_picture_rows(store, id_train, pictures, 4)
    assert pictures.views == [None]
