"""Each method makes what its docstring says, and says truly where each row came from."""

import math

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.outliers.method import ClassRows, Parents, block_generator, block_rows
from pipeline.outliers.methods.copies import Copies
from pipeline.outliers.methods.gaussian import GaussianControl
from pipeline.outliers.methods.perturb import Perturb
from pipeline.outliers.methods.shuffle import Shuffle
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.copies import CopiesParams
from pipeline.params.methods.gaussian import GaussianParams
from pipeline.params.methods.perturb import PerturbParams
from pipeline.params.methods.shuffle import ShuffleParams
from pipeline.runtime.errors import OutOfMemoryError, PipelineError
from tests.helpers import oracles
from tests.helpers.make import SPACE, latents_store

NOISES = ("diagonal", "covariance")
CPU = torch.device("cpu")
PERTURB = PerturbParams(rows=256, neighbours=3, boundary_share=0.4, sigma=0.5, noise="diagonal", candidates=4)


@pytest.fixture
def parents(tmp_path):
    return Parents(load_id_train(latents_store(tmp_path / "id")), CPU)


def make(method, block=0):
    return method.block(block_rows(block), block_generator(0, "test", block))


@pytest.mark.parametrize("name", ["perturb", "shuffle", "copies"])
def test_classes_take_turns_and_parents_are_of_their_class(parents, name):
    methods = {
        "perturb": lambda: Perturb(parents, PERTURB),
        "shuffle": lambda: Shuffle(parents, ShuffleParams(rows=256, patch=1)),
        "copies": lambda: Copies(parents, CopiesParams(rows=256)),
    }
    made = make(methods[name](), block=2)
    np.testing.assert_array_equal(made.class_a, np.arange(512, 768) % 3)
    np.testing.assert_array_equal(parents.labels[made.parent_a], made.class_a)
    np.testing.assert_array_equal(made.class_b, made.class_a)
    assert made.values.shape == (256, *SPACE.shape)


@pytest.mark.parametrize("classes", [3, 32, 33, 100])
def test_each_class_has_as_many_rows_and_each_of_its_kinds_too(tmp_path, classes):
    parents = Parents(load_id_train(latents_store(tmp_path / "id", per_class=2, classes=classes)), CPU)
    rows = np.arange(48 * classes)
    of, kinds = parents.cycle(rows), parents.kinds(rows, 2)
    np.testing.assert_array_equal(np.bincount(of, minlength=classes), 48)
    np.testing.assert_array_equal(np.bincount(of, kinds, classes), 24)
    assert len(set(of[:256].tolist())) == min(classes, 32)


def test_a_generator_belongs_to_seed_method_and_block():
    draws = {block_generator(*key).random() for key in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1))}
    assert len(draws) == 4
    assert block_generator(0, "a", 0).random() in draws


def test_parents_are_drawn_uniformly_from_their_pool():
    pools = ClassRows([np.array([5]), np.array([1, 2, 3, 4])])
    drawn = pools.draw(np.tile([0, 1], 4000), np.random.default_rng(0))
    assert set(drawn[::2]) == {5}
    assert np.bincount(drawn[1::2], minlength=5)[1:].min() > 900


def test_more_candidates_than_memory_holds_are_refused_before_they_are_drawn(parents):
    many = PERTURB.model_copy(update={"candidates": 10**9})
    with pytest.raises(OutOfMemoryError, match=r"perturb.candidates: needs 59.6 TiB, there are .* Lower it."):
        Perturb(parents, many)


def test_perturb_draws_its_parents_from_the_boundary_of_the_class(parents):
    made = make(Perturb(parents, PERTURB))
    for label in range(3):
        bank = parents.values[parents.members[label]].flatten(1).tolist()
        reach = [oracles.kth_distance(row, bank, PERTURB.neighbours + 1) for row in bank]  # itself is the first
        outermost = {parents.members[label][index] for index in np.argsort(reach)[-12:]}  # 0.4 of 30
        assert set(made.parent_a[made.class_a == label]) == outermost


def test_perturb_keeps_the_candidate_farthest_from_its_class(parents):
    made, rng = make(Perturb(parents, PERTURB)), block_generator(0, "test", 0)
    rng.random(256)  # the parents
    noise = rng.standard_normal((256, 4, 64), np.float32)
    for row in (0, 100, 255):
        bank = parents.values[parents.members[made.class_a[row]]].flatten(1)
        centre = parents.values[made.parent_a[row]].flatten()
        candidates = [centre + 0.5 * bank.std(0) * torch.from_numpy(one) for one in noise[row]]
        reach = [oracles.kth_distance(one.tolist(), bank.tolist(), 3) for one in candidates]
        torch.testing.assert_close(made.values[row].flatten(), candidates[int(np.argmax(reach))])
        assert made.extra["knn_distance"][row] == pytest.approx(max(reach), rel=1e-5)


def test_perturb_can_follow_the_covariance_of_the_class(tmp_path):
    flat = latents_store(tmp_path / "flat", per_class=200, classes=2)
    parents = Parents(load_id_train(flat), CPU)
    parents.values[:, 1:] = parents.values[:, :1]  # every channel says the same
    diagonal, covariance = (make(Perturb(parents, PERTURB.model_copy(update={"noise": kind}))) for kind in NOISES)
    assert (diagonal.values[:, 1:] - diagonal.values[:, :1]).abs().max() > 1
    assert (covariance.values[:, 1:] - covariance.values[:, :1]).abs().max() < 1e-3


def test_perturb_counts_the_rows_beyond_the_boundary(parents):
    method = Perturb(parents, PERTURB)
    columns = {"class_a": np.array([0, 0, 1]), "knn_distance": np.array([method.boundary.radii[0], 99.0, 99.0])}
    assert method.facts(columns)["beyond_boundary"] == pytest.approx(2 / 3)


def test_perturb_refuses_a_class_too_small_for_its_neighbours(parents):
    with pytest.raises(PipelineError, match="neighbours is 30, which wants 31 images of every class, but class"):
        Perturb(parents, PERTURB.model_copy(update={"neighbours": 30}))


@pytest.mark.parametrize("patch", [1, 2])
def test_shuffle_moves_patches_whole_and_loses_none(parents, patch):
    made = make(Shuffle(parents, ShuffleParams(rows=256, patch=patch)))

    def patches(latent):
        places = range(0, 4, patch)
        return [tuple(latent[:, y : y + patch, x : x + patch].flatten().tolist()) for y in places for x in places]

    for row in range(256):
        before, after = patches(parents.values[made.parent_a[row]]), patches(made.values[row])
        assert sorted(before) == sorted(after)
        assert before != after


def test_shuffle_reaches_every_order(parents):
    made = make(Shuffle(parents, ShuffleParams(rows=256, patch=2)))
    orders = set()
    for row in range(256):
        parent = parents.values[made.parent_a[row]]
        cells = {float(parent[0, y, x]): index for index, (y, x) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2)])}
        orders.add(tuple(cells[float(made.values[row][0, y, x])] for y, x in [(0, 0), (0, 2), (2, 0), (2, 2)]))
    assert len(orders) == math.factorial(4) - 1


@pytest.mark.parametrize("patch", [3, 4])
def test_shuffle_refuses_a_patch_that_leaves_nothing_to_move(parents, patch):
    with pytest.raises(PipelineError, match=f"patch is {patch}, but latents are 4 x 4"):
        Shuffle(parents, ShuffleParams(rows=256, patch=patch))


def test_a_class_without_latents_is_a_bug(tmp_path):
    latents = load_id_train(latents_store(tmp_path / "id"))
    latents.labels[latents.labels == 1] = 0
    with pytest.raises(ValueError, match="no ID latents of class class 1"):
        Parents(latents, CPU)


def test_copies_are_copies(parents):
    made = make(Copies(parents, CopiesParams(rows=256)))
    assert torch.equal(made.values, parents.values[torch.from_numpy(made.parent_a)])


def test_gaussian_has_the_mean_and_covariance_of_the_id_latents_and_no_parents(parents):
    method = GaussianControl(parents, GaussianParams(rows=256))
    made = [make(method, block) for block in range(80)]
    rows, known = torch.cat([block.values for block in made]).flatten(1), parents.values.flatten(1)
    torch.testing.assert_close(rows.mean(0), known.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(rows.T.cov(), known.T.cov(), atol=0.35, rtol=0)
    assert {*made[0].class_a, *made[0].class_b, *made[0].parent_a, *made[0].parent_b} == {NOBODY}
