"""The training loop of teachers and detectors, which differ only in the losses of a step."""

import math
from collections.abc import Callable

import torch
from torch import nn

from pipeline.latents.latents import Latents
from pipeline.networks.resnet import LatentResNet
from pipeline.networks.saved_network import predict
from pipeline.params.networks import OptimiserParams
from pipeline.training.curve import ACCURACY, Curve, History, end_epoch
from pipeline.training.gradients import Gradients, Losses, Step


def fit(
    network: nn.Module,
    rows: int,
    step: Step,
    params: OptimiserParams,
    order: torch.Generator,
    on_epoch: Callable[[History], object],
) -> History:
    """Train `network` in place and return learning rate and losses of each epoch.

    step: draws the inputs of a batch, given its row indices, and computes its losses.
    order: the CPU generator that shuffles the rows.
    on_epoch: called with the history after each epoch.
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
        step_losses: list[Losses] = []
        for batch in torch.randperm(rows, generator=order).split(params.batch_size):
            step_losses.append(gradients(batch))
            optimiser.step()
            rate = optimiser.param_groups[0]["lr"]
            schedule.step()
        means = {name: float(torch.stack([losses[name] for losses in step_losses]).mean()) for name in step_losses[0]}
        end_epoch(history, rate, means, params.learning_rate)
        on_epoch(history)
    network.eval()
    return history


def validate_and_show(
    history: History,
    *,
    network: LatentResNet,
    validation: Latents | None,  # None: the epochs have no accuracy
    curve: Curve,
) -> None:
    """Add the accuracy on ID validation to the last epoch, and show it: the `on_epoch` of teachers and detectors."""
    if validation is not None:
        network.eval()
        history[-1][ACCURACY] = _accuracy(network, validation)
        network.train()
    curve.show(history)


def _accuracy(network: LatentResNet, latents: Latents) -> float:
    """Return the share of the latents that the network names rightly."""
    logits, _ = predict(network, latents.values)
    return float((logits.argmax(1) == torch.from_numpy(latents.labels)).double().mean())


def ignore_history(_: History) -> None:
    """Do nothing: the `on_epoch` of a training that shows no learning curve."""
