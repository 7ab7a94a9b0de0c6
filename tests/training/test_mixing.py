"""A mixed row is made of two rows of its batch, its target of their labels, and each in the share it has of them."""

import numpy as np
import pytest
import torch

from pipeline.params.train import MixingParams
from pipeline.training.mixing import Mixing

ROWS, CLASSES, SIDE = 64, 3, 4
VALUES = torch.arange(1.0, ROWS + 1)[:, None, None, None].repeat(1, 2, SIDE, SIDE)  # each row one number
LABELS = torch.arange(ROWS) % CLASSES


def mixed(*kinds, weight=1.0, seed=0):
    params = MixingParams(weight=weight, kinds=kinds)
    return Mixing(params, CLASSES, torch.Generator().manual_seed(seed))(VALUES, LABELS)


def partners(seed=0):
    return torch.randperm(ROWS, generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("kinds", [("linear",), ("masked",), ("linear", "masked")])
def test_a_target_has_of_each_label_what_the_row_has_of_it(kinds):
    found = mixed(*kinds)
    for row, partner in enumerate(partners()):
        own, other = float(VALUES[row, 0, 0, 0]), float(VALUES[partner, 0, 0, 0])
        share = 0.0 if own == other else (float(found.values[row].mean()) - own) / (other - own)
        wanted = np.zeros(CLASSES)
        wanted[LABELS[row]] += 1 - share
        wanted[LABELS[partner]] += share
        np.testing.assert_allclose(found.targets[row], wanted, atol=1e-5)


def test_shares_of_linear_mixes_are_even_between_none_and_all():
    found = torch.cat([mixed("linear", seed=seed).targets.max(1).values for seed in range(40)])
    assert found.min() < 0.55
    assert np.histogram(found[found < 1], 2, (0.5, 1))[0].min() > 800


def test_a_masked_mix_is_one_rectangle_of_the_partner_in_every_channel():
    found = mixed("masked")
    sizes = set()
    for row, partner in enumerate(partners()):
        if row == partner:
            continue
        pasted = found.values[row] == VALUES[partner, 0, 0, 0]
        assert torch.equal(pasted[0], pasted[1])
        assert (found.values[row][~pasted] == VALUES[row, 0, 0, 0]).all()
        down, across = pasted[0].any(1), pasted[0].any(0)
        assert torch.equal(pasted[0], down[:, None] & across[None, :])
        for side in (down, across):
            assert int((side[1:] != side[:-1]).sum()) <= 2 - int(side[0]) - int(side[-1])  # one stretch
        sizes.add((int(down.sum()), int(across.sum())))
    assert len(sizes) > 10


def test_kinds_take_turns():
    found = mixed("linear", "masked").values
    places = [len(row.unique()) for row in found]
    assert all(count == 1 for count in places[::2])
    assert sum(count == 2 for count in places[1::2]) > ROWS // 4


def test_without_a_weight_nothing_is_mixed_and_nothing_is_drawn():
    order = torch.Generator().manual_seed(0)
    found = Mixing(MixingParams(weight=0.0, kinds=("linear",)), CLASSES, order)(VALUES, LABELS)
    assert (found.values.shape, found.targets.shape) == ((0, 2, SIDE, SIDE), (0, CLASSES))
    assert torch.equal(order.get_state(), torch.Generator().manual_seed(0).get_state())
