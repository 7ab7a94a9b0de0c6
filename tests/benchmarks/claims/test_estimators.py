"""On correlated Gaussians InfoNCE stays below the mutual information and CLUB above; OAL's term trains nothing."""

import pytest
import torch

from benchmarks.claims.estimators import (
    Effort,
    batch_losses,
    club_estimate,
    club_limit,
    info_nce_estimate,
    mutual_information,
    oal_gradients,
    pair_loss,
)

QUICK = Effort(steps=400, posterior_steps=600, batch_size=256, anchors=1500, negatives=2048, pairs=20_000)
NOISE = 0.1
"""In nats: over twice the standard error of a mean of 1500 anchors at the larger correlation."""


@pytest.mark.parametrize("rho", [0.2, 0.6])
def test_info_nce_is_a_close_lower_bound(rho):
    found, truth = info_nce_estimate(rho, 0, QUICK), mutual_information(rho)
    assert truth - 0.15 - NOISE <= found <= truth + NOISE


@pytest.mark.parametrize("rho", [0.2, 0.6])
def test_club_is_an_upper_bound_as_close_as_with_the_true_conditional(rho):
    found = club_estimate(rho, 0, QUICK)
    assert found >= mutual_information(rho)
    assert found == pytest.approx(club_limit(rho), rel=0.05, abs=NOISE)


def test_clubs_limit_is_above_the_truth_and_tight_only_without_dependence():
    gaps = [club_limit(rho) - mutual_information(rho) for rho in (0.0, 0.3, 0.6, 0.9)]
    assert gaps[0] == 0
    assert gaps == sorted(gaps)


def test_the_batched_loss_of_the_benchmark_is_the_detectors():
    anchors, partners = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = [pair_loss(anchors[i], partners[i], partners[torch.arange(5) != i]) for i in range(5)]
    torch.testing.assert_close(batch_losses(anchors, partners), torch.stack(wanted), rtol=1e-10, atol=1e-12)


def test_the_gradient_of_oals_term_is_zero_over_all_pairings_but_not_for_one():
    found = oal_gradients(16)
    assert found["one_pairing"] > 0.01
    assert found["relative"] < 1e-14
