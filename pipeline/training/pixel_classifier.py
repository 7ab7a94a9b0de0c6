"""Train a classifier of pixels: its lower half encodes, and its upper half is a network over latents."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pipeline.images.image_set import ImageSet, from_8_bits
from pipeline.images.pixel_cache import PixelCache
from pipeline.images.prefetch import prefetch
from pipeline.latents.augmentation import ViewKey, view
from pipeline.networks.encoders.pixel_classifier import PixelTrunk, SupervisedEncoder, SupervisedSettings
from pipeline.networks.resnet import LatentResNet
from pipeline.params.encoder import SupervisedParams
from pipeline.params.networks import LinearParams
from pipeline.runtime.device import seeded
from pipeline.training.curve import History, end_epoch
from pipeline.training.schedule import warm_cosine

MOMENTUM = 0.9
ENLARGED = 3, 2
"""Images are cached this much larger than they are seen, so that a crop is hardly ever enlarged."""


class PixelClassifier(NamedTuple):
    """Both halves of a trained classifier of pixels."""

    encoder: SupervisedEncoder
    upper: LatentResNet  # reads the latents as they are


def train_classifier(
    images: ImageSet,
    image_size: int,
    params: SupervisedParams,
    device: torch.device,
    advance: Callable[[int], None],
    on_epoch: Callable[[History], object],
) -> PixelClassifier:
    """Return a classifier that was trained with cross-entropy on views of the images.

    Every image is another view in each epoch. Stochastic gradient descent with Nesterov momentum; the learning rate
    rises over the first twentieth of the steps and falls along a cosine.

    advance: called with 1 after every step.
    on_epoch: called with the history after each epoch.
    Raises DivergedError as soon as a loss of an epoch is not finite.
    """
    history: History = []
    settings = SupervisedSettings(widths=params.widths)
    labels, order = torch.from_numpy(images.labels).long().to(device), torch.Generator().manual_seed(params.seed)
    large, small = ENLARGED
    cached = PixelCache(images, image_size * large // small)

    def seen(key: ViewKey) -> NDArray[np.uint8]:
        return view(cached.image(key.image), image_size, params.augmentation, key)

    with seeded(params.seed, device):
        trunk = PixelTrunk(params.widths)
        upper = LatentResNet(params.widths[-1], len(images.class_names), params.network, LinearParams(kind="linear"))
        network: Any = nn.Sequential(trunk, upper)
        network.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        network.parameters(), params.learning_rate, MOMENTUM, weight_decay=params.weight_decay, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(warm_cosine, total=steps(len(images), params)))
    for epoch in range(params.epochs):
        losses = []
        for rows, pixels in _batches(len(images), seen, epoch, params, order):
            batch = (
                torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device).contiguous(memory_format=torch.channels_last)
            )
            logits = network(batch).logits
            loss = cross_entropy(logits, labels[rows.to(device)], label_smoothing=params.label_smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
            rate = optimiser.param_groups[0]["lr"]
            schedule.step()
            advance(1)
        end_epoch(history, rate, {"cross_entropy": float(torch.stack(losses).mean())}, params.learning_rate)
        on_epoch(history)
    network.cpu().to(memory_format=torch.contiguous_format)
    return PixelClassifier(SupervisedEncoder(trunk, settings), upper.eval())


def steps(images: int, params: SupervisedParams) -> int:
    """Return the number of optimiser steps of the training."""
    return params.epochs * math.ceil(images / params.batch_size)


def _batches(
    images: int,
    seen: Callable[[ViewKey], NDArray[np.uint8]],  # returns a view, (s, s, 3)
    epoch: int,
    params: SupervisedParams,
    order: torch.Generator,
) -> Iterator[tuple[Tensor, NDArray[np.float32]]]:
    """Yield row numbers (n,) and pixels (n, s, s, 3) in -1..1 of each batch of an epoch."""

    def made(rows: Tensor) -> tuple[Tensor, NDArray[np.float32]]:
        return rows, from_8_bits(np.stack([seen(ViewKey(params.seed, row, epoch)) for row in rows.tolist()]))

    yield from prefetch(made, torch.randperm(images, generator=order).split(params.batch_size))
