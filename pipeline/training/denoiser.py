"""Train the denoiser. A killed training continues from its last checkpoint and ends with the same weights."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as tensor_bytes
from torch import Tensor
from torch.nn.functional import mse_loss

from pipeline.networks.denoiser import Denoiser, noise_schedule
from pipeline.params.denoiser import DenoiserParams
from pipeline.runtime.files import write_bytes
from pipeline.training.curve import RATE, History, end_epoch
from pipeline.training.schedule import warm_cosine

CHECKPOINT = "checkpoint.safetensors"
EPOCHS_PER_CHECKPOINT = 10
LOSS = "velocity"


class DenoiserTraining:
    """The state of a training: weights, their average, optimiser and history, which a checkpoint can restore."""

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
        """Return weights, averaged weights, the optimiser's moments and the history, as named tensors."""
        tensors = {f"weights.{name}": value for name, value in self.denoiser.state_dict().items()}
        tensors |= {f"average.{index}": value for index, value in enumerate(self.average.shadow_params)}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        for name in (RATE, LOSS):
            tensors[f"history.{name}"] = torch.tensor([epoch[name] for epoch in self.history], dtype=torch.float64)
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

    def resume(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `state` returned."""
        device = next(self.denoiser.parameters()).device
        weights = {name.removeprefix("weights."): state[name] for name in state if name.startswith("weights.")}
        self.denoiser.load_state_dict(weights)
        self.average.shadow_params = [
            state[f"average.{index}"].to(device) for index in range(len(self.average.shadow_params))
        ]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("optimiser."):
                _, index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = value
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": moments})
        rates, losses = (state[f"history.{name}"].tolist() for name in (RATE, LOSS))
        self.history = [{RATE: rate, LOSS: loss} for rate, loss in zip(rates, losses, strict=True)]
        self.average.optimization_step = len(self.history) * self.steps_per_epoch

    def step(self, loss: Tensor) -> None:
        """Take one optimiser step to lower `loss`, at the learning rate of the schedule."""
        step, total = self.average.optimization_step, self.params.epochs * self.steps_per_epoch
        self.rate = self.params.learning_rate * warm_cosine(step, total)
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
    on_epoch: Callable[[History], object],
) -> History:
    """Train in place, up to the averaged weights, and return learning rate and mean loss of each epoch.

    Loss: mean squared error of the velocity at a uniformly drawn noise level. The random draws of an epoch depend on
    the seed and the epoch only. So a training that continues from a checkpoint ends with the weights of an
    uninterrupted one.

    checkpoints: the folder of the checkpoint, which is read if there is one.
    on_epoch: called with the history after each epoch, and after a checkpoint was read.
    """
    training, schedule = DenoiserTraining(denoiser, params, len(latents)), noise_schedule(params.noise_levels)
    if (checkpoints / CHECKPOINT).is_file():
        training.resume(load_file(checkpoints / CHECKPOINT))
        on_epoch(training.history)
    history = training.history
    denoiser.train()
    while len(history) < params.epochs:
        losses = []
        for rows, noise, levels, dropped in _batches(latents, params, len(history)):
            shown_labels = torch.where(dropped, denoiser.no_class, labels[rows])
            loss = _loss(denoiser, schedule, latents[rows], noise, levels, shown_labels)
            training.step(loss)
            losses.append(loss.detach())
        end_epoch(history, training.rate, {LOSS: float(torch.stack(losses).mean())}, params.learning_rate)
        on_epoch(history)
        if len(history) % EPOCHS_PER_CHECKPOINT == 0 or len(history) == params.epochs:
            write_bytes(checkpoints / CHECKPOINT, tensor_bytes(training.state()))
    training.average.copy_to(denoiser.parameters())
    denoiser.eval()
    return history


def _batches(latents: Tensor, params: DenoiserParams, epoch: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield for each step of an epoch: rows, their noise, their noise levels, and whether their class is dropped."""
    generator = torch.Generator().manual_seed(params.seed * 1_000_003 + epoch)
    for rows in torch.randperm(len(latents), generator=generator).split(params.batch_size):
        noise = torch.randn((len(rows), *latents.shape[1:]), generator=generator)
        levels = torch.randint(params.noise_levels, (len(rows),), generator=generator)
        dropped = torch.rand(len(rows), generator=generator) < params.class_dropout
        yield tuple(tensor.to(latents.device) for tensor in (rows, noise, levels, dropped))


def _loss(denoiser: Denoiser, schedule: Any, latents: Tensor, noise: Tensor, levels: Tensor, labels: Tensor) -> Tensor:
    noisy = schedule.add_noise(latents, noise, levels)
    velocity = schedule.get_velocity(latents, noise, levels)
    return mse_loss(denoiser(noisy, levels, denoiser.classes(labels)), velocity)
