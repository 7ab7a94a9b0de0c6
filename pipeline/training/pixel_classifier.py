"""Train the classifier of pixels whose lower half encodes."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipeline.images.image_set import ImageSet, from_8_bits, resized
from pipeline.images.prefetch import prefetch
from pipeline.latents.augmentation import ViewKey, view
from pipeline.networks.encoders.pixel_classifier import PixelClassifier, SupervisedEncoder, SupervisedSettings
from pipeline.params.encoder import SupervisedParams
from pipeline.runtime.device import seeded
from pipeline.runtime.memory import empty_table
from pipeline.training.curve import History, end_epoch
from pipeline.training.schedule import warm_cosine

MOMENTUM = 0.9
ENLARGED = 3, 2
"""Images are cached this much larger than they are seen, so that a crop is hardly ever enlarged."""


def train_classifier(
    images: ImageSet,
    image_size: int,
    params: SupervisedParams,
    device: torch.device,
    advance: Callable[[int], None],
    on_epoch: Callable[[History], object],
) -> SupervisedEncoder:
    """Return the encoder of a classifier that was trained with cross-entropy on views of the images.

    Every image is another view in each epoch. Stochastic gradient descent with Nesterov momentum; the learning rate
    rises over the first twentieth of the steps and falls along a cosine.

    advance: called with 1 after every step.
    on_epoch: called with the history after each epoch.
    Raises DivergedError as soon as a loss of an epoch is not finite.
    """
    history: History = []
    settings = SupervisedSettings(widths=params.widths, classes=len(images.class_names))
    labels, order = torch.from_numpy(images.labels).long().to(device), torch.Generator().manual_seed(params.seed)
    cached = _CachedImages(images, image_size)
    with seeded(params.seed, device):
        network: Any = PixelClassifier(settings.widths, settings.classes)
        network.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        network.parameters(), params.learning_rate, MOMENTUM, weight_decay=params.weight_decay, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(warm_cosine, total=steps(len(images), params)))
    for epoch in range(params.epochs):
        losses = []
        for rows, pixels in _batches(cached, epoch, params, order):
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
    return SupervisedEncoder(network.cpu(), settings)


def steps(images: int, params: SupervisedParams) -> int:
    """Return the number of optimiser steps of the training."""
    return params.epochs * math.ceil(images / params.batch_size)


class _CachedImages:
    """Images decoded once, somewhat larger than they are seen, with 8 bits per value."""

    def __init__(self, images: ImageSet, image_size: int) -> None:
        self.images, self.size = images, image_size
        large, small = ENLARGED
        side = image_size * large // small
        self._pixels = empty_table((len(images), side, side, 3), np.uint8)
        self._is_cached = np.zeros(len(images), bool)

    def view(self, key: ViewKey, params: SupervisedParams) -> NDArray[np.uint8]:  # (size, size, 3)
        """Return a view of an image."""
        if not self._is_cached[key.image]:
            self._pixels[key.image] = resized(self.images.read(key.image), self._pixels.shape[1])
            self._is_cached[key.image] = True
        return view(Image.fromarray(self._pixels[key.image]), self.size, params.augmentation, key)


def _batches(
    cached: _CachedImages, epoch: int, params: SupervisedParams, order: torch.Generator
) -> Iterator[tuple[Tensor, NDArray[np.float32]]]:
    """Yield row numbers (n,) and pixels (n, s, s, 3) in -1..1 of each batch of an epoch."""

    def made(rows: Tensor) -> tuple[Tensor, NDArray[np.float32]]:
        views = [cached.view(ViewKey(params.seed, row, epoch), params) for row in rows.tolist()]
        return rows, from_8_bits(np.stack(views))

    yield from prefetch(made, torch.randperm(len(cached.images), generator=order).split(params.batch_size))
