"""The loop that teacher and detector are both trained with; they differ in the loss of a step only."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.curve import History, end_epoch
from pipeline.networks.params import OptimiserParams

Losses = dict[str, Tensor]
"""Weighted mean of each loss, by name; their sum is minimised."""


def fit(
    network: nn.Module,
    rows: int,
    losses: Callable[[Tensor], Losses],
    params: OptimiserParams,
    order: torch.Generator,
    watch: Callable[[History], object],
) -> History:
    """Train `network` in place and return learning rate and losses of each epoch.

    losses: given the row numbers of a batch (n,), the losses of that step.
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
    history: History = []
    network.train()
    for _ in range(params.epochs):
        epoch: list[Losses] = []
        for batch in torch.randperm(rows, generator=order).split(params.batch_size):
            step = losses(batch)
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(step.values())).sum().backward()
            optimiser.step()
            rate = optimiser.param_groups[0]["lr"]
            schedule.step()
            epoch.append({name: value.detach() for name, value in step.items()})
        means = {name: float(torch.stack([step[name] for step in epoch]).mean()) for name in epoch[0]}
        end_epoch(history, rate, means, params.learning_rate)
        watch(history)
    network.eval()
    return history
