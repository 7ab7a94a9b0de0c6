"""Train a small AutoencoderKL of Stable Diffusion's architecture on the ID training images."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipeline.autoencoder.held import HeldPixels
from pipeline.autoencoder.params import TrainingParams
from pipeline.curve import History, end_epoch
from pipeline.device import seeded
from pipeline.images.image_set import ImageSet
from pipeline.schedule import warm_cosine

LOSSES = ("reconstruction", "kl")


def train_autoencoder(
    images: ImageSet,
    image_size: int,
    params: TrainingParams,
    device: torch.device,
    advance: Callable[[int], None],
    watch: Callable[[History], object],
) -> Any:
    """Return a trained diffusers AutoencoderKL whose `scaling_factor` gives latents of unit variance.

    Loss: mean squared error per pixel value + kl_weight * KL(posterior, N(0, 1)) per latent value. The learning
    rate rises over the first twentieth of the steps and falls along a cosine. `advance` is told of every step, `watch`
    of the history after each epoch. Raises DivergedError as soon as a loss of an epoch is not finite.
    """
    history: History = []
    held = HeldPixels(images, image_size)

    def batch(rows: list[int]) -> Tensor:
        pixels = torch.from_numpy(held.batch(rows))
        return pixels.to(device).contiguous(memory_format=torch.channels_last)

    with seeded(params.seed, device) as generator:
        model = untrained(params, image_size).to(device, memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(model.parameters(), params.learning_rate)
        total = steps(len(images), params)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(warm_cosine, total=total))
        order = torch.Generator().manual_seed(params.seed)
        for _ in range(params.epochs):
            losses = []
            for rows in torch.randperm(len(images), generator=order).split(params.batch_size):
                losses.append(_step(model, batch(rows.tolist()), params.kl_weight, generator, optimiser))
                rate = optimiser.param_groups[0]["lr"]
                schedule.step()
                advance(1)
            means = torch.stack(losses).mean(0).tolist()
            end_epoch(history, rate, dict(zip(LOSSES, means, strict=True)), params.learning_rate)
            watch(history)
    model.eval()
    model.register_to_config(scaling_factor=_scaling_factor(model, images, batch, params.batch_size))
    return model


def steps(images: int, params: TrainingParams) -> int:
    """Return how many optimiser steps the training takes."""
    return params.epochs * math.ceil(images / params.batch_size)


def untrained(params: TrainingParams, image_size: int) -> Any:
    """Return the AutoencoderKL that `params` describe, with fresh weights."""
    from diffusers import AutoencoderKL

    levels = len(params.channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=params.channels,
        layers_per_block=1,
        latent_channels=params.latent_channels,
        norm_num_groups=params.norm_groups,
        sample_size=image_size,
        mid_block_add_attention=False,
    )


def _step(
    model: Any, images: Tensor, kl_weight: float, generator: torch.Generator, optimiser: torch.optim.Optimizer
) -> Tensor:
    """Take one step and return its losses, (2,): those of LOSSES, as weighted."""
    posterior = model.encode(images).latent_dist
    rebuilt = model.decode(posterior.sample(generator)).sample
    divergence = posterior.kl().mean() / posterior.mean[0].numel()
    pixels, weighted = (rebuilt - images).square().mean(), kl_weight * divergence
    optimiser.zero_grad()
    (pixels + weighted).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return torch.stack([pixels.detach(), weighted.detach()])


@torch.no_grad()
def _scaling_factor(model: Any, images: ImageSet, batch: Callable[[list[int]], Tensor], batch_size: int) -> float:
    """Return 1 / std of the posterior means over all images (Rombach et al. 2022, appendix G)."""
    total = square = count = 0.0
    for rows in torch.arange(len(images)).split(batch_size):
        means = model.encode(batch(rows.tolist())).latent_dist.mean.double()
        total += means.sum().item()
        square += means.square().sum().item()
        count += means.numel()
    return 1.0 / math.sqrt(square / count - (total / count) ** 2)
