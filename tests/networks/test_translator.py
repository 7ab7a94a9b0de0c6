"""The translator is OAL's, and defined on a batch of any size."""

import pytest
import torch

from pipeline.losses.distillation import feature_distillation
from pipeline.networks.translator import Translator


def batch(rows):
    return 5 + 2 * torch.randn(rows, 6, generator=torch.Generator().manual_seed(0))


def state(translator):
    return {name: value.clone() for name, value in translator.state_dict().items()}


def normed(values):
    return (values - values.mean(0)) / (values.var(0, correction=0) + 1e-5).sqrt()


def test_it_is_norm_linear_relu_norm():
    translator, rows = Translator(6, 4), batch(9)
    linear = translator.layers[1]
    wanted = normed(torch.relu(normed(rows) @ linear.weight.T + linear.bias))
    torch.testing.assert_close(translator(rows), wanted)


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_are_normalised_as_in_evaluation(rows):
    translator = Translator(6, 4)
    translator(batch(9))
    before = state(translator)
    found = translator(batch(rows))
    torch.testing.assert_close(state(translator), before)
    torch.testing.assert_close(found, translator.eval()(batch(rows)))


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_it_learns_together_with_the_student(rows):
    translator, student = Translator(6, 4), torch.randn(rows, 4, requires_grad=True)
    feature_distillation(student, translator(batch(rows)), temperature=1.0).sum().backward()
    assert all(torch.isfinite(value.grad).all() for value in [student, *translator.parameters()])
