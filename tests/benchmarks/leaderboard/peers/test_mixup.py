"""Mixup mixes rows with one share, and its loss is cross-entropy to the mixed labels."""

import math

import numpy as np
import pytest
import torch

from benchmarks.leaderboard.peers.mixup import ALPHA, Mixup, mixed_cross_entropy
from benchmarks.leaderboard.peers.setting import Setting
from pipeline.networks.resnet import Prediction
from tests.helpers.oracles import softmax

LOGITS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS, PARTNERS = torch.tensor([0, 2, 1, 1, 0]), torch.tensor([2, 2, 0, 1, 1])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_loss_is_cross_entropy_to_the_mixed_labels(share):
    wanted = []
    for row, own, other in zip(*(part.tolist() for part in (LOGITS, LABELS, PARTNERS)), strict=True):
        target = [share * (c == own) + (1 - share) * (c == other) for c in range(3)]
        wanted.append(-sum(part * math.log(p) for part, p in zip(target, softmax(row), strict=True)))
    np.testing.assert_allclose(mixed_cross_entropy(LOGITS, LABELS, PARTNERS, share), wanted, rtol=1e-12)


def test_a_step_mixes_every_row_with_the_one_that_its_label_is_mixed_with():
    rng, seen = np.random.default_rng(3), []
    share, order = rng.beta(ALPHA, ALPHA), rng.permutation(5)
    values = torch.arange(5.0)[:, None, None, None]

    def network(mixed):
        seen.append(mixed.flatten())
        return Prediction(LOGITS, LOGITS)

    losses = Mixup(Setting((2, 2, 1), 3, 1, np.random.default_rng(3), None))(network, values, LABELS)
    wanted = [share * row + (1 - share) * int(order[row]) for row in range(5)]
    np.testing.assert_allclose(seen[0], wanted, rtol=1e-6)
    torch.testing.assert_close(
        losses["cross_entropy"], mixed_cross_entropy(LOGITS, LABELS, LABELS[order], share).mean()
    )
