"""Train the denoiser; a killed training goes on from its last checkpoint to the same weights."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as tensor_bytes
from torch import Tensor
from torch.nn.functional import mse_loss

from pipeline.curve import RATE, History, end_epoch
from pipeline.denoiser.model import Denoiser, noise_schedule
from pipeline.denoiser.params import DenoiserParams
from pipeline.files import write_bytes
from pipeline.schedule import warm_cosine

CHECKPOINT = "checkpoint.safetensors"
EPOCHS_PER_CHECKPOINT = 10
LOSS = "velocity"


class Training:
    """Everything that changes while the denoiser learns, so that it can be put down and taken up again."""

    def __init__(self, denoiser: Denoiser, params: DenoiserParams, rows: int) -> None:
        from diffusers.training_utils import EMAModel

        self.denoiser = denoiser
        self.params = params
        self.steps_per_epoch = math.ceil(rows / params.batch_size)
        self.optimiser = torch.optim.AdamW(denoiser.parameters(), params.learning_rate)
        self.average = EMAModel(denoiser.parameters(), decay=params.ema_decay)
        self.rate = 0.0
        self.history: History = []

    def state(self) -> dict[str, Tensor]:
        """Return weights, their average, the optimiser's moments and the history, by name."""
        found = {f"weights.{name}": value for name, value in self.denoiser.state_dict().items()}
        found |= {f"average.{index}": value for index, value in enumerate(self.average.shadow_params)}
        for index, moments in self.optimiser.state_dict()["state"].items():
            found |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        for name in (RATE, LOSS):
            found[f"history.{name}"] = torch.tensor([epoch[name] for epoch in self.history], dtype=torch.float64)
        return {name: value.detach().cpu().contiguous() for name, value in found.items()}

    def resume(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        device = next(self.denoiser.parameters()).device
        weights = {name.removeprefix("weights."): state[name] for name in state if name.startswith("weights.")}
        self.denoiser.load_state_dict(weights)
        self.average.shadow_params = [
            state[f"average.{index}"].to(device) for index in range(len(self.average.shadow_params))
        ]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("optimiser."):
                _, index, what = name.split(".")
                moments.setdefault(int(index), {})[what] = value
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": moments})
        rates, losses = (state[f"history.{name}"].tolist() for name in (RATE, LOSS))
        self.history = [{RATE: rate, LOSS: loss} for rate, loss in zip(rates, losses, strict=True)]
        self.average.optimization_step = len(self.history) * self.steps_per_epoch

    def step(self, loss: Tensor) -> None:
        """Take one step down `loss`, at the rate of this step of the schedule."""
        number, total = self.average.optimization_step, self.params.epochs * self.steps_per_epoch
        self.rate = self.params.learning_rate * warm_cosine(number, total)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.denoiser.parameters(), 1.0)
        self.optimiser.step()
        self.average.step(self.denoiser.parameters())


def train_denoiser(
    denoiser: Denoiser,
    latents: Tensor,  # (n, c, h, w), standardised
    labels: Tensor,  # (n,)
    params: DenoiserParams,
    checkpoints: Path,
    watch: Callable[[History], object],
) -> History:
    """Train in place, to the averaged weights, and return learning rate and mean loss of each epoch.

    Loss: mean squared error of the velocity at a uniformly drawn noise level. Of every epoch the draws depend on the
    seed and the epoch only, so that going on from a checkpoint in `checkpoints` gives the weights of one training.
    `watch` is told of the history after each epoch, and of all that a checkpoint knows.
    """
    training, schedule = Training(denoiser, params, len(latents)), noise_schedule(params.noise_levels)
    if (checkpoints / CHECKPOINT).is_file():
        training.resume(load_file(checkpoints / CHECKPOINT))
        watch(training.history)
    history = training.history
    denoiser.train()
    while len(history) < params.epochs:
        losses = []
        for rows, noise, levels, dropped in _batches(latents, params, len(history)):
            kept = torch.where(dropped, denoiser.no_class, labels[rows])
            loss = _loss(denoiser, schedule, latents[rows], noise, levels, kept)
            training.step(loss)
            losses.append(loss.detach())
        end_epoch(history, training.rate, {LOSS: float(torch.stack(losses).mean())}, params.learning_rate)
        watch(history)
        if len(history) % EPOCHS_PER_CHECKPOINT == 0 or len(history) == params.epochs:
            write_bytes(checkpoints / CHECKPOINT, tensor_bytes(training.state()))
    training.average.copy_to(denoiser.parameters())
    denoiser.eval()
    return history


def _batches(latents: Tensor, params: DenoiserParams, epoch: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield for each step of an epoch its rows, their noise and its level, and whether their class is dropped."""
    draws = torch.Generator().manual_seed(params.seed * 1_000_003 + epoch)
    for rows in torch.randperm(len(latents), generator=draws).split(params.batch_size):
        noise = torch.randn((len(rows), *latents.shape[1:]), generator=draws)
        levels = torch.randint(params.noise_levels, (len(rows),), generator=draws)
        dropped = torch.rand(len(rows), generator=draws) < params.class_dropout
        yield tuple(drawn.to(latents.device) for drawn in (rows, noise, levels, dropped))


def _loss(denoiser: Denoiser, schedule: Any, latents: Tensor, noise: Tensor, levels: Tensor, labels: Tensor) -> Tensor:
    noisy = schedule.add_noise(latents, noise, levels)
    velocity = schedule.get_velocity(latents, noise, levels)
    return mse_loss(denoiser(noisy, levels, denoiser.classes(labels)), velocity)
