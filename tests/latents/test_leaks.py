"""What two sets share is what a loop over all pairs of rows finds."""

import numpy as np
import pytest
import torch

from pipeline.latents.leaks import near_duplicates, repeats, shared_images
from pipeline.latents.near_rows import DirectedRows

RNG = np.random.default_rng(0)


def rows(count, dimensions=3):
    return torch.tensor(RNG.standard_normal((count, dimensions)))


def distance(one, other):
    return sum((a - b) ** 2 for a, b in zip(one.tolist(), other.tolist(), strict=True)) ** 0.5


@pytest.mark.parametrize("seed", range(5))
def test_sets_share_what_a_loop_finds(seed):
    rng = np.random.default_rng(seed)
    contents = {name: rng.integers(-20, 20, 15) for name in ("id_train", "near", "far")}
    found = {(pair.a, pair.b): pair for pair in shared_images(contents)}
    for a, b in (("id_train", "near"), ("id_train", "far"), ("near", "far")):
        both = {value for value in contents[a].tolist() if value in contents[b].tolist()}
        assert found[a, b].images == len(both)
        for row_a, row_b in found[a, b].examples:
            assert contents[a][row_a] == contents[b][row_b]


def test_sets_without_a_common_image_are_not_listed():
    assert shared_images({"id_train": np.array([1, 2]), "noise": np.array([3])}) == []


def test_the_first_of_many_pairs_are_named():
    (pair,) = shared_images({"id_test": np.arange(100)[::-1], "far": np.arange(200)})
    assert (pair.images, pair.examples) == (100, [(row, 99 - row) for row in range(5)])


@pytest.mark.parametrize(("a", "b", "leaks"), [
    ("id_train", "id_validation", True), ("id_train", "id_test", True), ("id_validation", "far", True),
    ("id_test", "far", True), ("far", "id_train", True), ("near", "far", False),
])  # fmt: skip
def test_only_ood_sets_may_share_images(a, b, leaks):
    assert [pair.leaks for pair in shared_images({a: np.array([7]), b: np.array([7])})] == [leaks]


def test_repeats_count_every_image_but_the_first():
    assert repeats(np.array([4, 4, 4, 1, 2, 2])) == 3
    assert repeats(np.array([4])) == 0


def test_near_duplicates_are_those_that_a_loop_finds():
    bank, queries = rows(30), rows(40)
    nearest = [min((distance(query, other), index) for index, other in enumerate(bank)) for query in queries]
    found = near_duplicates(queries, DirectedRows(bank), limit=0.6)
    within = sorted((far, row, index) for row, (far, index) in enumerate(nearest) if far < 0.6)
    assert found.images == len(within) > 5
    assert [(row, index) for row, index, _ in found.examples] == [(row, index) for _, row, index in within[:5]]
    assert [far for *_, far in found.examples] == pytest.approx([far for far, *_ in within[:5]])


def test_a_limit_of_0_reports_none():
    bank = rows(30)
    found = near_duplicates(bank[3:5].float(), DirectedRows(bank.float()), limit=0.0)
    assert (found.images, found.examples) == (0, [])
