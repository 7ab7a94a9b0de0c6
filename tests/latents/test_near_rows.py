"""What is nearest and near is found as by comparing all pairs, whatever the rows are like."""

import numpy as np
import pytest
import torch

from pipeline.latents import near_rows as module
from pipeline.latents.near_rows import DIRECTIONS, DirectedRows, near_rows

WIDE = 3 * DIRECTIONS


def rows(count, seed, decay=0.97, copies=None):
    """Return rows whose values vary less and less, as latents' do; the first are near the first of `copies`."""
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((count, WIDE)) * decay ** np.arange(WIDE)
    if copies is not None:
        made[:7] = copies[:7].numpy() + np.arange(7)[:, None] * 0.005 * rng.standard_normal((7, WIDE))
    return torch.from_numpy(made)


def brute_force(queries, bank):
    differences = queries[:, None] - bank[None]
    return differences.norm(dim=2).min(1)


def require_right(queries, bank, limit):
    """Compare what is found with all pairs; return how many queries have a row near."""
    found = near_rows(queries, DirectedRows(bank), limit)
    wanted, index = brute_force(queries, bank)
    near = (wanted < limit).nonzero()[:, 0]
    assert found.queries.tolist() == near.tolist()
    assert found.rows.tolist() == index[near].tolist()
    torch.testing.assert_close(found.distances, wanted[near])
    return len(near)


@pytest.mark.parametrize(("limit", "near"), [(0.0, 0), (1.0, 7), (5.0, 7), (1e6, 90)])
@pytest.mark.parametrize("decay", [0.97, 1.0])
def test_near_rows_are_those_of_all_pairs(limit, near, decay):
    bank = rows(200, 0, decay)
    assert require_right(rows(90, 1, decay, bank), bank, limit) >= near


def test_rows_of_few_values_are_compared_as_they_are():
    assert require_right(rows(90, 1)[:, :3], rows(200, 0)[:, :3], 0.5) > 5


def test_blocks_change_nothing(monkeypatch):
    bank, queries = rows(200, 0), rows(90, 1, copies=rows(200, 0))
    whole = near_rows(queries, DirectedRows(bank), 1.0)
    monkeypatch.setattr(module, "BLOCK_VALUES", 1000)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 3)
    assert all(map(torch.equal, whole, near_rows(queries, DirectedRows(bank), 1.0)))


def test_where_directions_say_too_little_all_pairs_are_compared(monkeypatch):
    compared = []
    monkeypatch.setattr(module, "nearest", lambda *given: compared.append(len(given[0])) or brute_force(*given))
    bank = rows(200, 0)
    require_right(rows(40, 1, copies=bank), bank, 1.0)
    assert compared == []
    require_right(rows(40, 1, copies=bank), bank, 1e6)
    assert compared == [40]


def test_equal_rows_are_found_at_distance_0_in_single_precision():
    bank = 100 * rows(3000, 0, 1.0).float() + 50
    found = near_rows(bank[[2, 2999, 5]], DirectedRows(bank), 0.1)
    assert [values.tolist() for values in found] == [[0, 1, 2], [2, 2999, 5], [0.0] * 3]


def test_rows_that_are_all_the_same_and_a_single_row_are_searched():
    same = torch.ones(5, WIDE, dtype=torch.float64)
    assert near_rows(same, DirectedRows(same), 0.5).distances.tolist() == [0.0] * 5
    assert near_rows(same, DirectedRows(same[:1]), 0.5).rows.tolist() == [0] * 5
    assert near_rows(same[:0], DirectedRows(same), 0.5).queries.tolist() == []


def test_coordinates_make_no_distance_larger():
    bank = rows(300, 0, 1.0)
    assert bool((torch.pdist(DirectedRows(bank).coordinates) <= torch.pdist(bank) + 1e-9).all())
