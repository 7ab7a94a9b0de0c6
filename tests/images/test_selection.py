"""Rows are chosen class by class, by the seed only, and at most so many."""

import numpy as np
import pytest

from pipeline.images.selection import limited, shuffled_rows


def classes(*counts):
    return [np.arange(count) + 1000 * index for index, count in enumerate(counts)]


def sizes(*counts, limit):
    return [len(rows) for rows in limited(classes(*counts), limit)]


def test_a_class_keeps_its_order_whatever_the_others_are():
    labels = np.array([0, 1, 2] * 30)
    fewer = np.where(labels == 2, 0, labels)
    np.testing.assert_array_equal(shuffled_rows(labels, 1, 0), shuffled_rows(fewer, 1, 0))
    assert sorted(shuffled_rows(labels, 1, 0)) == [*range(1, 90, 3)]


def test_another_seed_is_another_order():
    labels = np.zeros(30, np.int64)
    assert shuffled_rows(labels, 0, 0).tolist() != shuffled_rows(labels, 0, 1).tolist()


@pytest.mark.parametrize("limit", [None, 60, 61])
def test_no_limit_or_a_wide_one_takes_all(limit):
    assert sizes(10, 20, 30, limit=limit) == [10, 20, 30]


def test_a_limit_is_shared_in_proportion():
    assert sizes(1000, 2000, 3000, limit=60) == [10, 20, 30]
    assert sizes(100, 100, 100, limit=50) == [17, 17, 16]


def test_a_rare_class_keeps_one():
    assert sizes(1000, 1, 1000, limit=3) == [1, 1, 1]
    assert sizes(1000, 1, 1000, limit=5) == [2, 1, 2]


def test_a_limit_is_met_exactly_and_takes_the_first_rows():
    rng = np.random.default_rng(0)
    for _ in range(200):
        groups = classes(*rng.integers(1, 50, rng.integers(1, 6)))
        limit = int(rng.integers(len(groups), sum(map(len, groups)) + 1))
        chosen = limited(groups, limit)
        assert sum(map(len, chosen)) == limit
        assert all(len(few) > 0 and (few == rows[: len(few)]).all() for few, rows in zip(chosen, groups, strict=True))
