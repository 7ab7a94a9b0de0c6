"""The loop that teacher and detector are both trained with; they differ in the loss of a step only."""

import math
from collections.abc import Callable

import torch
from torch import nn

from pipeline.curve import History, end_epoch
from pipeline.networks.gradients import Gradients, Losses, Step
from pipeline.networks.params import OptimiserParams


def fit(
    network: nn.Module,
    rows: int,
    step: Step,
    params: OptimiserParams,
    order: torch.Generator,
    watch: Callable[[History], object],
) -> History:
    """Train `network` in place and return learning rate and losses of each epoch.

    step: given the row numbers of a batch, draws what its losses are computed from, and computes them.
    order: the CPU generator that shuffles the rows.
    watch: told of the history after each epoch.
    Raises DivergedError as soon as a loss of an epoch is not finite.
    """
    steps = params.epochs * math.ceil(rows / params.batch_size)
    optimiser = torch.optim.SGD(
        network.parameters(),
        params.learning_rate,
        momentum=params.momentum,
        weight_decay=params.weight_decay,
        nesterov=params.momentum > 0,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    gradients, history = Gradients(network, step), History()
    network.train()
    for _ in range(params.epochs):
        epoch: list[Losses] = []
        for batch in torch.randperm(rows, generator=order).split(params.batch_size):
            epoch.append(gradients(batch))
            optimiser.step()
            rate = optimiser.param_groups[0]["lr"]
            schedule.step()
        means = {name: float(torch.stack([losses[name] for losses in epoch]).mean()) for name in epoch[0]}
        end_epoch(history, rate, means, params.learning_rate)
        watch(history)
    network.eval()
    return history
