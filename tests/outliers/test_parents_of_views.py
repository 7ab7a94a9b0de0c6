"""A parent is the plain latent or a view of its image, as the row records; all else is as with plain parents."""

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.latents.view_rows import load_views
from pipeline.outliers.method import Parents, block_generator, block_rows
from pipeline.outliers.methods.copies import Copies
from pipeline.outliers.methods.mixup import Mixup
from pipeline.outliers.methods.perturb import Perturb
from pipeline.outliers.methods.shuffle import Shuffle
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.copies import CopiesParams
from pipeline.params.methods.mixup import MixupParams
from pipeline.params.methods.perturb import PerturbParams
from pipeline.params.methods.shuffle import ShuffleParams
from pipeline.store.format import Standardisation
from pipeline.store.reader import Store
from tests.helpers import oracles
from tests.helpers.make import latents_store, views_store

COUNT, CPU = 3, torch.device("cpu")
SCALING = Standardisation(mean=(1.0, 0.0, -1.0, 2.0), std=(2.0, 1.0, 0.5, 3.0))
METHODS = {
    "copies": lambda parents: Copies(parents, CopiesParams(rows=256)),
    "shuffle": lambda parents: Shuffle(parents, ShuffleParams(rows=256, patch=2)),
    "perturb": lambda parents: Perturb(
        parents,
        PerturbParams(rows=256, neighbours=3, boundary_share=0.4, sigma=0.5, noise="diagonal", candidates=2),
    ),
    "mixup": lambda parents: Mixup(
        parents,
        MixupParams(rows=256, kinds=("linear", "masked", "channels"), classes=2, lam_min=0.3, lam_max=0.7),
    ),
    "mixup of 3": lambda parents: Mixup(
        parents, MixupParams(rows=256, kinds=("linear", "masked"), classes=3, lam_min=0.3, lam_max=0.7)
    ),
}


@pytest.fixture
def id_train(tmp_path):
    return load_id_train(latents_store(tmp_path / "id", standardisation=SCALING))


@pytest.fixture
def views(tmp_path, id_train):
    return load_views(views_store(tmp_path / "views", id_train, COUNT), id_train)


def make(name, parents, block=0):
    return METHODS[name](parents).block(block_rows(block), block_generator(0, "test", block))


def encoding(views, id_train, image, number):
    """Return the plain latent or a view of an image, standardised value by value."""
    if number < 1:
        return id_train.values[image]
    found = Store(views.pool.folder).latents()[image * COUNT + number - 1].astype(np.float64)
    for channel in range(4):
        found[channel] = (found[channel] - SCALING.mean[channel]) / SCALING.std[channel]
    return torch.from_numpy(found).float()


def close(found, wanted):
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_parents_classes_and_shares_are_those_of_plain_parents(name, id_train, views):
    plain, seen = (make(name, Parents(id_train, CPU, found)) for found in (None, views))
    for column in ("class_a", "class_b", "parent_a", "parent_b", "lam", "method"):
        np.testing.assert_array_equal(getattr(seen, column), getattr(plain, column))
    assert (seen.values != plain.values).any()
    assert not [column for column in plain.extra if column.startswith("view_")]


@pytest.mark.parametrize("name", METHODS)
def test_every_encoding_is_equally_likely_and_drawn_for_each_parent(name, id_train, views):
    method = METHODS[name](Parents(id_train, CPU, views))
    assert set(method.extra_columns) >= {"view_a", "view_b"}
    blocks = [method.block(block_rows(block), block_generator(0, "test", block)) for block in range(8)]
    numbers = np.concatenate([made.extra["view_a"] for made in blocks])
    assert np.bincount(numbers, minlength=COUNT + 1).min() > 0.2 * len(numbers)
    assert numbers.max() == COUNT
    same = (numbers == np.concatenate([made.extra["view_b"] for made in blocks])).mean()
    assert (0.2 < same < 0.3) if "mixup" in name else same == 1
    if name == "mixup of 3":
        for made in blocks:
            np.testing.assert_array_equal(made.extra["view_3"] == NOBODY, made.extra["parent_3"] == NOBODY)


@pytest.mark.parametrize("name", METHODS)
def test_the_views_of_a_block_depend_on_seed_method_and_block_only(name, id_train, views):
    parents = Parents(id_train, CPU, views)
    drawn = {
        tuple(METHODS[name](parents).block(block_rows(key[2]), block_generator(*key)).extra["view_a"])
        for key in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "a", 0))
    }
    assert len(drawn) == 4


def test_a_copy_is_the_encoding_that_it_records(id_train, views):
    made = make("copies", Parents(id_train, CPU, views))
    for row in range(256):
        close(made.values[row], encoding(views, id_train, made.parent_a[row], made.extra["view_a"][row]))


def test_a_shuffled_row_has_the_patches_of_the_encoding_that_it_records(id_train, views):
    made = make("shuffle", Parents(id_train, CPU, views))
    for row in range(0, 256, 10):
        parent = encoding(views, id_train, made.parent_a[row], made.extra["view_a"][row])
        found, wanted = (
            sorted(latent[:, y : y + 2, x : x + 2].flatten().tolist() for y in (0, 2) for x in (0, 2))
            for latent in (made.values[row], parent)
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_perturbed_row_starts_from_its_view_and_is_judged_among_plain_latents(id_train, views):
    parents, rng = Parents(id_train, CPU, views), block_generator(0, "test", 0)
    made = make("perturb", parents)
    rng.random(256)  # the parents
    noise = rng.standard_normal((256, 2, 64), np.float32)
    for row in (0, 100, 255):
        bank = id_train.values[parents.members[made.class_a[row]]].flatten(1)
        centre = encoding(views, id_train, made.parent_a[row], made.extra["view_a"][row]).flatten()
        candidates = [centre + 0.5 * bank.std(0) * torch.from_numpy(one) for one in noise[row]]
        reach = [oracles.kth_distance(one.tolist(), bank.tolist(), 3) for one in candidates]
        close(made.values[row].flatten(), candidates[int(np.argmax(reach))])
        assert made.extra["knn_distance"][row] == pytest.approx(max(reach), rel=1e-5)


def test_a_linear_mix_is_of_the_encodings_that_it_records(id_train, views):
    made = make("mixup of 3", Parents(id_train, CPU, views))
    for row in np.flatnonzero(made.method == 0)[:20]:
        shares = {"a": made.lam[row], "3": made.extra["lam_3"][row]}
        shares["b"] = 1 - sum(shares.values())
        wanted = torch.zeros(4, 4, 4)
        for name, share in shares.items():
            image = made.extra["parent_3"][row] if name == "3" else getattr(made, f"parent_{name}")[row]
            wanted += float(share) * encoding(views, id_train, image, made.extra[f"view_{name}"][row])
        close(made.values[row], wanted)


def test_a_pasted_row_has_every_value_of_one_of_its_two_encodings(id_train, views):
    made = make("mixup", Parents(id_train, CPU, views))
    for row in np.flatnonzero(made.method > 0)[:20]:
        first, second = (
            encoding(views, id_train, getattr(made, f"parent_{name}")[row], made.extra[f"view_{name}"][row])
            for name in ("a", "b")
        )
        of_first = (made.values[row] - first).abs() < 1e-5
        assert ((made.values[row] - second).abs()[~of_first] < 1e-5).all()
        assert of_first.float().mean() == pytest.approx(made.lam[row], abs=1e-6)
