"""Neighbour distances are exact, in blocks or at once."""

import numpy as np
import pytest
import torch

from pipeline.latents import neighbours
from tests.helpers import oracles

RNG = np.random.default_rng(0)
QUERIES, BANK = RNG.standard_normal((7, 5)), RNG.standard_normal((11, 5))


@pytest.mark.parametrize("k", [1, 2, 11])
def test_kth_distance_agrees_with_sorting_all_distances(k):
    found = neighbours.kth_distance(torch.tensor(QUERIES), torch.tensor(BANK), k)
    wanted = [oracles.kth_distance(query, BANK, k) for query in QUERIES]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-4)])
def test_distances_in_a_large_bank_agree_too(dtype, tolerance):
    queries, bank = (RNG.standard_normal((rows, 64)).astype(dtype) for rows in (40, 300))
    found = neighbours.kth_distance(torch.tensor(queries), torch.tensor(bank), 10)
    wanted = [oracles.kth_distance(query, bank, 10) for query in queries]
    np.testing.assert_allclose(found, wanted, rtol=tolerance)


def test_blocks_change_nothing(monkeypatch):
    whole = neighbours.kth_distance(torch.tensor(QUERIES), torch.tensor(BANK), 3)
    monkeypatch.setattr(neighbours, "BLOCK_VALUES", 25)
    assert torch.equal(whole, neighbours.kth_distance(torch.tensor(QUERIES), torch.tensor(BANK), 3))


@pytest.mark.parametrize(("queries", "bank"), [(3, 4), (25, 25), (26, 4), (3, 26), (160, 300)])
def test_a_bank_gives_the_bits_of_cdist(queries, bank):
    queries, bank = (torch.from_numpy(RNG.standard_normal((rows, 64)).astype(np.float32)) for rows in (queries, bank))
    kept = neighbours.Bank(bank)
    assert torch.equal(kept.distances(queries, slice(0, len(bank))), torch.cdist(queries, bank))
    assert torch.equal(neighbours.kth_distance(queries, kept, 2), neighbours.kth_distance(queries, bank, 2))
    assert torch.equal(kept.rows, bank)


@pytest.mark.parametrize("k", [1, 3, 11])
def test_a_bank_in_parts_gives_the_same_neighbours(monkeypatch, k):
    queries, bank = torch.tensor(QUERIES), torch.tensor(BANK)
    whole, (distances, rows) = neighbours.kth_distance(queries, bank, k), neighbours.nearest(queries, bank)
    monkeypatch.setattr(neighbours, "BANK_VALUES", 4 * bank.shape[1])
    torch.testing.assert_close(neighbours.kth_distance(queries, bank, k), whole)
    found = neighbours.nearest(queries, bank)
    assert torch.equal(found[0], distances)
    assert torch.equal(found[1], rows)


def test_the_nearest_row_and_its_distance_agree_with_a_loop():
    distances, rows = neighbours.nearest(torch.tensor(QUERIES), torch.tensor(BANK))
    for query, distance, row in zip(QUERIES, distances, rows, strict=True):
        wanted = [oracles.kth_distance(query, BANK[index : index + 1], 1) for index in range(len(BANK))]
        assert row == np.argmin(wanted)
        assert distance == pytest.approx(min(wanted), rel=1e-12)


def test_two_equal_rows_are_0_apart_in_single_precision():
    bank = torch.tensor(RNG.standard_normal((300, 64)), dtype=torch.float32)
    distances, rows = neighbours.nearest(bank, bank)
    assert distances.tolist() == [0.0] * 300
    assert rows.tolist() == list(range(300))


def test_blocks_do_not_change_the_nearest_row(monkeypatch):
    whole = neighbours.nearest(torch.tensor(QUERIES), torch.tensor(BANK))
    monkeypatch.setattr(neighbours, "BLOCK_VALUES", 25)
    assert all(map(torch.equal, whole, neighbours.nearest(torch.tensor(QUERIES), torch.tensor(BANK))))


def test_no_queries_have_no_nearest_row_and_no_bank_is_refused():
    assert [found.shape for found in neighbours.nearest(torch.zeros(0, 5), torch.zeros(3, 5))] == [(0,), (0,)]
    with pytest.raises(ValueError, match="no nearest of 0 rows"):
        neighbours.nearest(torch.zeros(3, 5), torch.zeros(0, 5))


def test_no_queries_give_no_distances():
    assert neighbours.kth_distance(torch.zeros(0, 5), torch.zeros(3, 5), 1).shape == (0,)


@pytest.mark.parametrize("k", [0, 12])
def test_a_neighbour_that_does_not_exist_is_refused(k):
    with pytest.raises(ValueError, match="does not exist among 11 rows"):
        neighbours.kth_distance(torch.tensor(QUERIES), torch.tensor(BANK), k)


def nearest_others(bank, asked):
    """Distance of each row that is asked to the nearest other one, ascending."""
    return sorted(oracles.kth_distance(bank[row], np.delete(bank, row, axis=0), 1) for row in asked)


@pytest.mark.parametrize("count", [2, 7, 40])
def test_the_typical_distance_is_the_median_to_the_nearest_other(count):
    bank = RNG.standard_normal((count, 3))
    wanted = nearest_others(bank, range(count))[(count - 1) // 2]
    assert neighbours.typical_distance(torch.tensor(bank)) == pytest.approx(wanted)


@pytest.mark.parametrize(("count", "asked"), [(7, [0, 2, 4]), (8, [0, 2, 5]), (9, [0, 3, 6])])
def test_of_many_rows_a_few_at_even_steps_are_asked_what_is_typical(count, asked, monkeypatch):
    monkeypatch.setattr(neighbours, "TYPICAL_ROWS", 3)
    bank = RNG.standard_normal((count, 3))
    assert neighbours.typical_distance(torch.tensor(bank)) == pytest.approx(nearest_others(bank, asked)[1])
