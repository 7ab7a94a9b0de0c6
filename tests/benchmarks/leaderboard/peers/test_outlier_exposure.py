"""Real outliers are drawn without replacement until used up, twice as many as ID rows, and exposed."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.peers.outlier_exposure import WEIGHT, OutlierExposure
from benchmarks.leaderboard.peers.setting import Setting
from pipeline.networks.resnet import Prediction
from tests.helpers import oracles


def setting(outliers):
    return Setting((2, 1), 3, 1, np.random.default_rng(0), outliers)


def test_every_outlier_is_drawn_once_before_any_is_drawn_again():
    peer = OutlierExposure(setting(torch.arange(7.0)))
    drawn = torch.cat([peer.draw(3) for _ in range(7)]).view(3, 7)
    assert [sorted(turn.tolist()) for turn in drawn] == [list(range(7))] * 3
    assert not torch.equal(drawn[0], drawn[1])


def test_a_step_is_cross_entropy_on_id_rows_and_exposure_of_twice_as_many_outliers():
    logits, seen = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)), []

    def network(rows):
        seen.append(rows)
        return Prediction(logits, logits)

    values, labels = torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 0])
    losses = OutlierExposure(setting(torch.ones(8, 1, 2, 2)))(network, values, labels)
    torch.testing.assert_close(seen[0], torch.cat([values, torch.ones(6, 1, 2, 2)]))
    torch.testing.assert_close(losses["cross_entropy"], cross_entropy(logits[:3], labels))
    wanted = WEIGHT * np.mean(oracles.outlier_exposure(logits[3:].tolist()))
    assert float(losses["outlier_exposure"]) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("outliers", [None, torch.zeros(0, 1, 2, 2)])
def test_without_outliers_there_is_nothing_to_expose(outliers):
    with pytest.raises(ValueError, match="wants latents of real outliers"):
        OutlierExposure(setting(outliers))
