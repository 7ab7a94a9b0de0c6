"""Losses agree with pytorch-ood's, which others know."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from benchmarks.leaderboard.peers.vos import weighted_log_sum_exp
from pipeline.losses.energy_bound import energy_bound
from pipeline.losses.outlier_exposure import outlier_exposure
from pipeline.networks.heads import LogitNormHead
from tests.helpers.pytorch_ood import MARGIN_ID, MARGIN_OUTLIERS, TEMPERATURE, recorded

RECORDED = recorded()
LOGITS, OUTLIER_LOGITS = torch.tensor(RECORDED["logits"]), torch.tensor(RECORDED["outlier_logits"])


def wanted(name):
    return pytest.approx(RECORDED["losses"][name], rel=1e-6)


def test_outlier_exposure_is_theirs_but_for_the_entropy_of_the_uniform_distribution():
    uniform = torch.full_like(OUTLIER_LOGITS, 1 / 3)
    assert (outlier_exposure(OUTLIER_LOGITS, uniform) + np.log(3)).numpy() == wanted("outlier_exposure")


def test_the_energy_bound_is_theirs():
    bound = energy_bound(LOGITS, OUTLIER_LOGITS, id_energy=MARGIN_ID, outlier_energy=MARGIN_OUTLIERS)
    assert float(bound.id_rows.mean() + bound.outliers.mean()) == wanted("energy_bound")


def test_logit_norm_is_theirs():
    head = LogitNormHead(3, 3, TEMPERATURE).double()
    head.weight.data, head.bias.data = torch.eye(3).double(), torch.zeros(3).double()
    labels = torch.arange(len(LOGITS)) % 3
    loss = cross_entropy(head.training_logits(LOGITS, labels), labels)
    assert loss.item() == wanted("logit_norm")


def test_the_uncertainty_loss_of_vos_is_theirs_with_the_sign_of_its_official_code():
    """Theirs regresses on the energy, ours and the official code on its negative; the weights' sign makes them one."""
    energies = weighted_log_sum_exp(torch.cat([LOGITS, OUTLIER_LOGITS]), torch.tensor(RECORDED["energy_weights"]))
    told = -energies[:, None] * torch.tensor(RECORDED["regression"])[:, 0] + torch.tensor(RECORDED["regression_bias"])
    is_known = torch.arange(len(energies)) < len(LOGITS)
    assert float(cross_entropy(told, is_known.long())) == wanted("vos_uncertainty")
