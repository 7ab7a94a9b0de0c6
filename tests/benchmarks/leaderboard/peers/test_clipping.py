"""Gradients are clipped over all parameters together, inside and nowhere else."""

import pytest
import torch

from benchmarks.leaderboard.peers.clipping import clipped


def step(gradients):
    weights = [torch.nn.Parameter(torch.zeros(len(values))) for values in gradients]
    optimiser = torch.optim.SGD([{"params": [weight]} for weight in weights], 1.0)
    for weight, values in zip(weights, gradients, strict=True):
        weight.grad = torch.tensor(values)
    optimiser.step()
    return [weight.tolist() for weight in weights]


def test_the_norm_is_that_of_all_parameters():
    with clipped(1.0):
        (first,), second = step([[3.0], [0.0, 4.0]])
    assert (first, *second) == pytest.approx((-0.6, 0.0, -0.8), abs=1e-5)


def test_gradients_below_it_and_outside_of_it_stay():
    with clipped(10.0):
        assert step([[3.0], [4.0]]) == [[-3.0], [-4.0]]
    with clipped(None):
        assert step([[3.0], [4.0]]) == [[-3.0], [-4.0]]
    with pytest.raises(KeyError), clipped(1.0):
        raise KeyError
    assert step([[3.0], [4.0]]) == [[-3.0], [-4.0]]
