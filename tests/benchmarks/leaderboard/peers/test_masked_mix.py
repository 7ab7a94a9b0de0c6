"""CutMix pastes one block, inside the map, and labels go by the places that were pasted."""

import math

import numpy as np
import pytest
import torch

from benchmarks.leaderboard.peers.masked_mix import PROBABILITY, Block, MaskedMix, cut_and_paste, draw_block
from benchmarks.leaderboard.peers.mixup import mixed_cross_entropy
from benchmarks.leaderboard.peers.setting import Setting
from pipeline.networks.resnet import Prediction

LABELS = torch.tensor([0, 1, 2, 0])


def blocks(height, width, share, count=500):
    rng = np.random.default_rng(0)
    return [draw_block(height, width, share, rng) for _ in range(count)]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99, 1.0])
def test_a_block_is_inside_the_map_and_no_larger_than_its_share(share):
    side = [round(length * math.sqrt(1 - share)) for length in (4, 7)]
    for block in blocks(4, 7, share):
        assert 0 <= block.top <= block.bottom <= 4
        assert 0 <= block.left <= block.right <= 7
        assert block.bottom - block.top <= side[0]
        assert block.right - block.left <= side[1]


def test_blocks_that_the_edge_does_not_cut_have_their_full_sides():
    assert max(block.area for block in blocks(4, 7, 0.5)) == 3 * 5


def test_every_place_is_the_centre_of_a_block_equally_often():
    tops = [block.top for block in blocks(4, 4, 1 - 1 / 16, count=4000)]  # blocks of one place
    np.testing.assert_allclose(np.bincount(tops) / 4000, 0.25, atol=0.03)


def test_cutting_and_pasting_equals_its_equation_and_leaves_the_rows_alone():
    values = torch.randn(4, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    before, partners, block = values.clone(), torch.tensor([2, 0, 1, 3]), Block(1, 3, 0, 4)
    mixed = cut_and_paste(values, partners, block)
    for row, channel, y, x in np.ndindex(4, 2, 4, 5):
        source = partners[row] if 1 <= y < 3 and x < 4 else row
        assert mixed[row, channel, y, x] == before[source, channel, y, x]
    assert torch.equal(values, before)


def shares_and_partners(mixed):
    """Return which share of each row is its own, and which other row has a part in it, where row i is full of i."""
    rows = mixed.flatten(1).tolist()
    others = [next((int(value) for value in row if value != i), i) for i, row in enumerate(rows)]
    return torch.tensor([row.count(i) / len(row) for i, row in enumerate(rows)]), others


def test_labels_are_mixed_by_the_places_that_were_left_in_half_of_the_batches():
    values, seen = torch.arange(4.0)[:, None, None, None].expand(4, 1, 4, 4).clone(), []
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

    def network(mixed):
        seen.append(mixed)
        return Prediction(logits, logits)

    peer, changed = MaskedMix(Setting((2, 1, 1), 3, 1, np.random.default_rng(0), None)), 0
    for _ in range(400):
        loss = peer(network, values, LABELS)["cross_entropy"]
        left, others = shares_and_partners(seen[-1])
        changed += bool((left < 1).any())
        torch.testing.assert_close(loss, mixed_cross_entropy(logits, LABELS, LABELS[others], left).mean())
    assert 0.7 * PROBABILITY < changed / 400 <= 1.1 * PROBABILITY  # a block may be empty, a row its own partner
