"""The energy bound equals its equation, has the right gradient, pushes the right way and is defined on nothing."""

import numpy as np
import pytest
import torch

from pipeline.losses.energy_bound import energy_bound
from tests.helpers import oracles

RNG = np.random.default_rng(0)
ID_LOGITS, OUTLIERS = 2 * RNG.standard_normal((6, 3)), 2 * RNG.standard_normal((5, 3))


def bound(id_logits=ID_LOGITS, outliers=OUTLIERS, id_energy=-2.0, outlier_energy=-1.0):
    id_logits, outliers = torch.as_tensor(id_logits), torch.as_tensor(outliers)
    return energy_bound(id_logits, outliers, id_energy=id_energy, outlier_energy=outlier_energy)


@pytest.mark.parametrize("bounds", [(-2.0, -1.0), (-9.0, 9.0), (-1.0, -2.0)])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_energy_bound_equals_its_equation(count, bounds):
    found = bound(ID_LOGITS, OUTLIERS[:count], *bounds)
    wanted = oracles.energy_bound(ID_LOGITS, OUTLIERS[:count], *bounds)
    np.testing.assert_allclose(found.id_rows, wanted[0], rtol=1e-10)
    np.testing.assert_allclose(found.outliers, wanted[1], rtol=1e-10)


def test_rows_beyond_their_bounds_cost_nothing():
    assert bound([[30.0, 0.0]], [[-30.0, -30.0]]).id_rows == 0
    assert bound([[30.0, 0.0]], [[-30.0, -30.0]]).outliers == 0


def test_a_confident_outlier_costs_more_than_an_unsure_one():
    sure, unsure = bound(outliers=[[5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).outliers
    assert sure > unsure


@pytest.mark.parametrize("side", [0, 1])
def test_no_rows_are_zero_with_a_gradient(side):
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = bound(*(logits if side == index else torch.zeros(2, 3) for index in range(2)))[side].sum()
    loss.backward()
    assert loss == 0
    assert logits.grad.shape == (0, 3)


def test_huge_logits_stay_finite_in_float32():
    loss = bound(torch.tensor([[-1e8, -1e8]]), torch.tensor([[1e8, -1e8]]))
    assert torch.isfinite(torch.cat(loss)).all()


def test_the_energy_bound_has_the_gradient_of_its_value():
    inputs = (torch.tensor(ID_LOGITS, requires_grad=True), torch.tensor(OUTLIERS, requires_grad=True))
    assert torch.autograd.gradcheck(bound, inputs)
