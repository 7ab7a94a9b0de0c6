"""Train a small AutoencoderKL of Stable Diffusion's architecture on the ID training images."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipeline.images.image_set import ImageSet
from pipeline.images.pixel_cache import PixelCache
from pipeline.params.encoder import TrainedParams
from pipeline.runtime.device import seeded
from pipeline.training.curve import History, end_epoch
from pipeline.training.schedule import warm_cosine

LOSSES = ("reconstruction", "kl")


def train_autoencoder(
    images: ImageSet,
    image_size: int,
    params: TrainedParams,
    device: torch.device,
    advance: Callable[[int], None],
    on_epoch: Callable[[History], object],
) -> Any:
    """Return a trained diffusers AutoencoderKL whose `scaling_factor` gives latents of unit variance.

    Loss: mean squared error per pixel value + kl_weight * KL(posterior, N(0, 1)) per latent value. The learning rate
    rises over the first twentieth of the steps and falls along a cosine.

    advance: called with 1 after every step.
    on_epoch: called with the history after each epoch.
    Raises DivergedError as soon as a loss of an epoch is not finite.
    """
    history: History = []
    pixel_cache = PixelCache(images, image_size)

    def batch(rows: list[int]) -> Tensor:
        pixels = torch.from_numpy(pixel_cache.batch(rows))
        return pixels.to(device).contiguous(memory_format=torch.channels_last)

    with seeded(params.seed, device) as generator:
        model = untrained(params, image_size).to(device, memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(model.parameters(), params.learning_rate)
        warm_up_and_decay = partial(warm_cosine, total=steps(len(images), params))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_up_and_decay)
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
            on_epoch(history)
    model.eval()
    model.register_to_config(scaling_factor=_scaling_factor(model, images, batch, params.batch_size))
    return model


def steps(images: int, params: TrainedParams) -> int:
    """Return the number of optimiser steps of the training."""
    return params.epochs * math.ceil(images / params.batch_size)


def untrained(params: TrainedParams, image_size: int) -> Any:
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
    """Take one step and return its weighted losses, (2,), in the order of LOSSES."""
    posterior = model.encode(images).latent_dist
    reconstructed = model.decode(posterior.sample(generator)).sample
    divergence = posterior.kl().mean() / posterior.mean[0].numel()
    pixel_loss, kl_loss = (reconstructed - images).square().mean(), kl_weight * divergence
    optimiser.zero_grad()
    (pixel_loss + kl_loss).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return torch.stack([pixel_loss.detach(), kl_loss.detach()])


@torch.no_grad()
def _scaling_factor(model: Any, images: ImageSet, batch: Callable[[list[int]], Tensor], batch_size: int) -> float:
    """Return 1 / std of the posterior means over all images (Rombach et al. 2022, appendix G)."""
    value_sum = square_sum = count = 0.0
    for rows in torch.arange(len(images)).split(batch_size):
        means = model.encode(batch(rows.tolist())).latent_dist.mean.double()
        value_sum += means.sum().item()
        square_sum += means.square().sum().item()
        count += means.numel()
    return 1.0 / math.sqrt(square_sum / count - (value_sum / count) ** 2)
