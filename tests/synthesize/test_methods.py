"""Each method makes what its docstring says, and says truly where each row came from."""

import math

import numpy as np
import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.latents import load_id_train
from pipeline.synthesize.method import Parents, block_generator, block_rows, draw
from pipeline.synthesize.mixup import LINEAR, MASKED, Mixup
from pipeline.synthesize.params import MixupParams, PerturbParams, ShuffleParams
from pipeline.synthesize.perturb import Perturb
from pipeline.synthesize.shuffle import Shuffle
from tests import oracles
from tests.make import SPACE, latents_store

CPU = torch.device("cpu")
PERTURB = PerturbParams(rows=256, neighbours=3, boundary_share=0.4, sigma=0.5, candidates=4)
MIXUP = MixupParams(rows=256, lam_min=0.3, lam_max=0.7, masked_share=0.5)


@pytest.fixture
def parents(tmp_path):
    return Parents(load_id_train(latents_store(tmp_path / "id")), CPU)


def make(method, block=0):
    return method.block(block_rows(block), block_generator(0, "test", block))


@pytest.mark.parametrize("name", ["perturb", "mixup", "shuffle"])
def test_classes_take_turns_and_parents_are_of_their_class(parents, name):
    methods = {
        "perturb": lambda: Perturb(parents, PERTURB),
        "mixup": lambda: Mixup(parents, MIXUP),
        "shuffle": lambda: Shuffle(parents, ShuffleParams(rows=256, patch=1)),
    }
    made = make(methods[name](), block=2)
    np.testing.assert_array_equal(made.class_a, np.arange(512, 768) % 3)
    np.testing.assert_array_equal(parents.labels[made.parent_a], made.class_a)
    np.testing.assert_array_equal(parents.labels[made.parent_b], made.class_b)
    assert made.values.shape == (256, *SPACE.shape)


def test_a_generator_belongs_to_seed_method_and_block():
    draws = {block_generator(*key).random() for key in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1))}
    assert len(draws) == 4
    assert block_generator(0, "a", 0).random() in draws


def test_parents_are_drawn_uniformly_from_their_pool():
    pools = [np.array([5]), np.array([1, 2, 3, 4])]
    drawn = draw(pools, np.tile([0, 1], 4000), np.random.default_rng(0))
    assert set(drawn[::2]) == {5}
    assert np.bincount(drawn[1::2], minlength=5)[1:].min() > 900


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


def test_perturb_counts_the_rows_beyond_the_boundary(parents):
    method = Perturb(parents, PERTURB)
    columns = {"class_a": np.array([0, 0, 1]), "knn_distance": np.array([method.radii[0], 99.0, 99.0])}
    assert method.facts(columns)["beyond_boundary"] == pytest.approx(2 / 3)


def test_perturb_refuses_a_class_too_small_for_its_neighbours(parents):
    with pytest.raises(PipelineError, match="neighbours is 30, but class 'class 0' has 30 .* and 31 are wanted"):
        Perturb(parents, PERTURB.model_copy(update={"neighbours": 30}))


def test_mixup_crosses_classes_within_its_range(parents):
    made = make(Mixup(parents, MIXUP))
    assert (made.class_a != made.class_b).all()
    linear = made.method == LINEAR
    assert 90 < linear.sum() < 166
    assert made.lam[linear].min() >= 0.3
    assert made.lam[linear].max() <= 0.7
    assert {(a, b) for a, b in zip(made.class_a, made.class_b, strict=True)} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }


def test_linear_mixup_is_the_convex_combination_it_records(parents):
    made = make(Mixup(parents, MIXUP))
    for row in np.flatnonzero(made.method == LINEAR)[:5]:
        a, b, lam = parents.values[made.parent_a[row]], parents.values[made.parent_b[row]], float(made.lam[row])
        torch.testing.assert_close(made.values[row], lam * a + (1 - lam) * b)


def test_masked_mixup_pastes_a_rectangle_of_the_size_it_records(parents):
    made = make(Mixup(parents, MIXUP))
    for row in np.flatnonzero(made.method == MASKED):
        a, b = parents.values[made.parent_a[row]], parents.values[made.parent_b[row]]
        from_b = (made.values[row] == b).all(0)
        assert torch.equal(from_b, ~(made.values[row] == a).all(0))
        rows, columns = torch.where(from_b)
        area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        assert 0 < int(from_b.sum()) == int(area) < 16
        assert made.lam[row] == pytest.approx(1 - int(area) / 16)
    assert set((16 * made.lam[made.method == MASKED]).round().astype(int)) == {7, 8, 10}  # 3 x 3, 2 x 4, 2 x 3


@pytest.mark.parametrize(("share", "kind"), [(0.0, LINEAR), (1.0, MASKED)])
def test_the_masked_share_is_kept(parents, share, kind):
    made = make(Mixup(parents, MIXUP.model_copy(update={"masked_share": share})))
    assert set(made.method) == {kind}


def test_masked_mixup_refuses_latents_without_a_rectangle_in_range(tmp_path):
    space = SPACE.model_copy(update={"shape": (4, 1, 1)})
    small = Parents(load_id_train(latents_store(tmp_path / "small", space=space)), CPU)
    with pytest.raises(PipelineError, match="no rectangle of 1 x 1 latents leaves a share of 0.3 to 0.7"):
        Mixup(small, MIXUP)
    assert set(make(Mixup(small, MIXUP.model_copy(update={"masked_share": 0.0}))).method) == {LINEAR}


def test_mixup_refuses_one_class(tmp_path):
    alone = Parents(load_id_train(latents_store(tmp_path / "one", classes=1)), CPU)
    with pytest.raises(PipelineError, match="wants two or more ID classes; there is one"):
        Mixup(alone, MIXUP)


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
