"""Sample latents from a diffusion model, under any mix of conditions."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Tensor]
"""What the model predicts of noisy latents (n, c, h, w) at a noise level."""


@torch.no_grad()
def sample(
    predict: Predict,
    schedule: Any,
    noise: Tensor,  # (n, c, h, w), unit variance
    steps: int,
    draws: torch.Generator | None = None,
) -> Tensor:  # (n, c, h, w)
    """Take noise to latents in `steps` steps of a diffusers scheduler, a fresh one, since schedulers remember.

    draws: of further noise, for a scheduler that adds some at each step.
    """
    scheduler = type(schedule).from_config(schedule.config)
    scheduler.set_timesteps(steps, device=noise.device)
    own = {"generator": draws} if "generator" in inspect.signature(scheduler.step).parameters else {}
    latents: Tensor = noise * scheduler.init_noise_sigma
    for level in scheduler.timesteps:
        predicted = predict(scheduler.scale_model_input(latents, level), level)
        latents = scheduler.step(predicted, level, latents, **own).prev_sample
    return latents


def guided(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    condition: Tensor,  # (n, ...)
    nothing: Tensor,  # (n, ...)
    guidance: float,
) -> Predict:
    """Return a prediction under classifier-free guidance: nothing + guidance (condition - nothing).

    Source: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598, eq. 6, whose w is guidance - 1. At 1 the model is
    asked once only.
    """
    if guidance == 1:
        return lambda latents, level: model(latents, level, condition)

    def predict(latents: Tensor, level: Tensor) -> Tensor:
        both = model(torch.cat([latents, latents]), level, torch.cat([nothing, condition]))
        without, given = both.chunk(2)
        return without + guidance * (given - without)

    return predict
