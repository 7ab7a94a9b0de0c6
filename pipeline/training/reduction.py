"""Fit the reduction of an encoder's maps to ID training images."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pipeline.images.image_set import ImageSet, from_8_bits, resized
from pipeline.networks.encoders.model import EncoderModel
from pipeline.networks.encoders.reduction import Reduction, fit_reduction
from pipeline.params.encoder import EncoderParams
from pipeline.runtime.device import chosen_device
from pipeline.runtime.progress import progress

ESTIMATED_FROM = 128
"""Images of which the variance that averaging keeps is estimated."""
BATCH = 16
"""Images per forward pass. On a CPU larger batches of a backbone take longer per image."""


def fitted_reduction(model: EncoderModel, images: ImageSet, image_size: int, params: EncoderParams) -> Reduction | None:
    """Return the reduction that the parameters ask for, or None where maps stay as they are.

    It is fitted to `params.fitted_to` images, evenly spaced over the set; without principal channels only the share of
    the variance is estimated, of fewer.
    """
    if not (count := fitted_images(params, len(images))):
        return None
    rows = np.linspace(0, len(images) - 1, count).astype(int)
    model.to(chosen_device())
    with progress("fitting the reduction, images", len(rows)) as advance:

        def maps() -> Iterator[Tensor]:
            for start in range(0, len(rows), BATCH):
                batch = np.stack([resized(images.read(row), image_size) for row in rows[start : start + BATCH]])
                pixels = torch.from_numpy(from_8_bits(batch)).permute(0, 3, 1, 2)
                yield model.encode(pixels.to(chosen_device()))
                advance(len(batch))

        reduction = fit_reduction(maps(), params.channels, params.side)
    model.to(torch.device("cpu"))
    return reduction


def fitted_images(params: EncoderParams, images: int) -> int:
    """Return how many of so many ID training images a reduction is fitted to."""
    if params.channels is None and params.side is None:
        return 0
    most = params.fitted_to if params.channels else min(params.fitted_to, ESTIMATED_FROM)
    return min(most, images)
