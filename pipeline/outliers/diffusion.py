"""Sample latents from a diffusion model, under any condition."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Tensor]
"""Takes noisy latents (n, c, h, w) and a noise level, and returns what the model predicts."""


@torch.no_grad()
def sample(
    predict: Predict,
    schedule: Any,
    noise: Tensor,  # (n, c, h, w), unit variance
    steps: int,
    generator: torch.Generator | None = None,
) -> Tensor:  # (n, c, h, w)
    """Turn noise into latents in `steps` steps of a diffusers scheduler.

    A fresh copy of `schedule` is used, since a scheduler keeps state.
    generator: for the noise that some schedulers add at each step.
    """
    scheduler = type(schedule).from_config(schedule.config)
    scheduler.set_timesteps(steps, device=noise.device)
    step_options = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    latents: Tensor = noise * scheduler.init_noise_sigma
    for level in scheduler.timesteps:
        predicted = predict(scheduler.scale_model_input(latents, level), level)
        latents = scheduler.step(predicted, level, latents, **step_options).prev_sample
    return latents


def guided(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    condition: Tensor,  # (n, ...)
    no_condition: Tensor,  # (n, ...)
    guidance: float,
) -> Predict:
    """Return a prediction under classifier-free guidance: u + guidance (c - u).

    c and u are the model's predictions under `condition` and `no_condition`. With a guidance of 1 the model is called
    only once per step.
    Source: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598, eq. 6, whose w is guidance - 1.
    """
    if guidance == 1:
        return lambda latents, level: model(latents, level, condition)

    def predict(latents: Tensor, level: Tensor) -> Tensor:
        both = model(torch.cat([latents, latents]), level, torch.cat([no_condition, condition]))
        unconditional, conditional = both.chunk(2)
        return unconditional + guidance * (conditional - unconditional)

    return predict
