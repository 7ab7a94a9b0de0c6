"""After a step a network has the gradients of its losses, of no step before; test_gpu.py has recorded steps."""

import torch

from pipeline.training.gradients import Gradients, Step

BATCHES = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))


def drawn(index):
    return BATCHES[index], torch.tensor(2.0)


def test_a_step_leaves_the_gradients_of_the_sum_of_its_losses():
    network = torch.nn.Linear(5, 1)

    def losses(values, weight):
        return {"square": network(values).square().mean(), "weighted": weight * network(values).mean()}

    gradients = Gradients(network, Step(drawn, losses, recordable=True))  # a CPU computes it anew all the same
    for index in (0, 2, 0):
        found = gradients(torch.tensor(index))
        wanted = losses(*drawn(index))
        alone = torch.autograd.grad(sum(wanted.values()), list(network.parameters()))
        for parameter, gradient in zip(network.parameters(), alone, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
        assert {name: value.item() for name, value in found.items()} == {n: v.item() for n, v in wanted.items()}
        assert not any(value.requires_grad for value in found.values())
