"""Training sees every method alike, every row once per round, and no store that was made for something else."""

from collections import Counter

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.latents.view_rows import load_views
from pipeline.params.methods.base import NOBODY
from pipeline.runtime.errors import DamagedStoreError, IncompatibleStoreError, PipelineError
from pipeline.store.format import Standardisation
from pipeline.store.reader import Store
from pipeline.training.draws import OutlierBatches, OutlierRows, check_parents, open_outliers
from tests.helpers.make import SPACE, latents_store, outliers_store, views_store


@pytest.fixture
def id_train(tmp_path):
    return load_id_train(latents_store(tmp_path / "id"))


def test_stores_like_the_latents_are_read(tmp_path, id_train):
    pools = open_outliers([outliers_store(tmp_path / "s")], id_train, None)
    batch = batches_of(pools, 40).draw().values
    assert (batch.shape, batch.dtype) == ((40, 4, 4, 4), torch.float16)
    assert sorted(batch.flatten().tolist()) == sorted(Store(tmp_path / "s").latents().flatten().tolist())


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"space": SPACE.model_copy(update={"encoder": "other"})}, "encoder is 'other', wanted 'abc'"),
        ({"space": SPACE.model_copy(update={"scaling_factor": 2.0})}, "scaling_factor is 2.0, wanted 0.5"),
        ({"classes": 4}, "its class list is"),
        ({"standardisation": Standardisation(mean=(1.0,) * 4, std=(1.0,) * 4)}, "its standardisation is"),
    ],
)
def test_stores_of_something_else_are_refused(tmp_path, id_train, difference, message):
    with pytest.raises(IncompatibleStoreError, match=message):
        open_outliers([outliers_store(tmp_path / "s", **difference)], id_train, None)


class Values:
    def __init__(self, values):
        self.values = values

    def take(self, rows):
        return self.values[rows]


def numbered(rows, offset):
    """Return rows whose only value is their number, and whose parent is a hundred more."""
    numbers = offset + np.arange(rows)
    values = Values(numbers.astype(np.float16)[:, None, None, None])
    return OutlierRows(values, numbers + 100, numbers % 3, numbers[:, None], np.ones((rows, 1), np.float32))


def named(classes, shares):
    """Return the number of a row in the place of its targets."""
    return (classes * shares).astype(np.float32)


def batches_of(stores, batch_size, seed=0):
    return OutlierBatches(stores, batch_size, torch.Generator().manual_seed(seed), named)


@pytest.mark.parametrize("batch_size", [1, 2, 8, 9])
def test_every_method_gives_the_same_number_of_rows(batch_size):
    batches = batches_of([numbered(50, 0), numbered(7, 100), numbered(9, 200)], batch_size)
    drawn = [Counter(int(value) // 100 for value in batches.draw().values.flatten()) for _ in range(30)]
    assert all(sum(origin.values()) == batch_size for origin in drawn)
    assert all(max(origin.values()) - batch_size // 3 <= 1 for origin in drawn)
    assert sum(drawn, Counter()) == dict.fromkeys(range(3), 10 * batch_size)


def test_every_row_is_drawn_once_before_any_is_drawn_again():
    batches = batches_of([numbered(7, 0)], 3)
    drawn = [int(value) for _ in range(7) for value in batches.draw().values.flatten()]
    assert all(sorted(drawn[start : start + 7]) == list(range(7)) for start in (0, 7, 14))


def test_a_row_travels_with_its_parent_and_its_target():
    batch = batches_of([numbered(7, 0)], 5).draw()
    assert (batch.values.flatten().long() + 100).tolist() == batch.parents.tolist()
    assert (batch.values.flatten().long() % 3).tolist() == batch.views.tolist()
    assert batch.values.flatten().tolist() == batch.targets.flatten().tolist()


def test_a_row_has_the_classes_and_shares_of_its_columns(tmp_path, id_train):
    columns = {"class_a": np.array([0, 1, 2]), "class_b": np.array([1, 1, 0]), "class_3": np.array([2, 1, 1])}
    shares = {"lam": np.array([0.25, 0.5, 0.0]), "lam_3": np.array([0.5, 0.25, 0.125])}
    (rows,) = open_outliers([outliers_store(tmp_path / "s", rows=3, **columns, **shares)], id_train, None)
    assert rows.classes.tolist() == [[0, 1, 2], [1, 1, 1], [2, 0, 1]]
    assert rows.shares.tolist() == [[0.25, 0.25, 0.5], [0.5, 0.25, 0.25], [0.0, 0.875, 0.125]]


def with_parents(folder, made_from):
    columns = {"parent_a": np.array([1, 2, 3, NOBODY]), "parent_b": np.array([4, 5, 6, NOBODY])}
    return outliers_store(folder, rows=4, latents=made_from, **columns, lam=np.array([0.3, 0.5, 1.0, 0.7]))


def test_the_parent_of_a_row_is_the_one_with_the_larger_share(tmp_path, id_train):
    (rows,) = open_outliers([with_parents(tmp_path / "s", id_train.digest)], id_train, None)
    assert rows.parents.tolist() == [4, 2, 3, NOBODY]


def test_of_three_parents_the_one_with_the_largest_share_is_taken(tmp_path, id_train):
    shares = {"lam": np.array([0.2, 0.5, 0.2, 0.5]), "lam_3": np.array([0.65, 0.1, 0.2, 0.0])}
    parents = {"parent_a": np.full(4, 1), "parent_b": np.full(4, 2), "parent_3": np.array([3, 3, 3, NOBODY])}
    parents |= {"class_3": np.full(4, 2)}
    (rows,) = open_outliers(
        [outliers_store(tmp_path / "s", rows=4, latents=id_train.digest, **parents, **shares)], id_train, None
    )
    assert rows.parents.tolist() == [3, 1, 2, 1]


def test_rows_made_from_other_latents_have_no_parents_here(tmp_path, id_train):
    (rows,) = open_outliers([with_parents(tmp_path / "s", "other")], id_train, None)
    assert rows.parents.tolist() == [NOBODY] * 4


def test_club_without_any_parent_is_refused(tmp_path, id_train):
    stores = [outliers_store(tmp_path / "s")]
    with pytest.raises(PipelineError, match=r"micl.club has a weight, but no row of .*/s has a parent"):
        check_parents(stores, id_train, None)
    check_parents([*stores, with_parents(tmp_path / "t", id_train.digest)], id_train, None)


VIEWS = {"view_a": np.array([0, 1, 2, NOBODY]), "view_b": np.array([3, 0, 1, NOBODY])}


def from_views(folder, id_train, made_from, **views):
    parents = {"parent_a": np.array([1, 2, 3, NOBODY]), "parent_b": np.array([4, 5, 6, NOBODY])}
    shares = {"lam": np.array([0.3, 0.5, 1.0, 0.7])}
    store = outliers_store(folder, rows=4, latents=id_train.digest, views=made_from, **parents, **shares, **views)
    return [store]


def test_the_view_of_a_row_is_that_of_its_main_parent(tmp_path, id_train):
    views = load_views(views_store(tmp_path / "views", id_train, 3), id_train)
    (rows,) = open_outliers(from_views(tmp_path / "s", id_train, views.identity, **VIEWS), id_train, views)
    assert rows.parents.tolist() == [4, 2, 3, NOBODY]
    assert rows.views.tolist() == [3, 1, 2, NOBODY]
    check_parents([tmp_path / "s"], id_train, views)


def test_rows_made_from_other_views_have_no_parents_here(tmp_path, id_train):
    views, others = (load_views(views_store(tmp_path / f"views{seed}", id_train, 3, seed), id_train) for seed in (0, 1))
    stores = from_views(tmp_path / "s", id_train, others.identity, **VIEWS)
    for here in (views, None):
        (rows,) = open_outliers(stores, id_train, here)
        assert rows.parents.tolist() == [NOBODY] * 4
        assert rows.views.tolist() == [0] * 4


def test_a_view_that_is_not_there_is_damage(tmp_path, id_train):
    views = load_views(views_store(tmp_path / "views", id_train, 2), id_train)
    stores = from_views(tmp_path / "s", id_train, views.identity, **VIEWS)
    with pytest.raises(DamagedStoreError, match="s: found the number 3 of a view, wanted at most 2"):
        open_outliers(stores, id_train, views)
