"""Standardise latents, and undo it: by channel, with mean and divisors of the ID training latents."""

import torch
from torch import Tensor

from pipeline.store.format import Standardisation


def to_scaled(values: Tensor, standardisation: Standardisation) -> Tensor:
    """Undo the standardisation: (n, c, h, w) latents for the encoder's decoder."""
    mean, std = _per_channel(standardisation)
    return values * std + mean


def to_standardised(scaled: Tensor, standardisation: Standardisation) -> Tensor:
    """Standardise (n, c, h, w) latents of the encoder."""
    mean, std = _per_channel(standardisation)
    return (scaled - mean.to(scaled.device)) / std.to(scaled.device)


def _per_channel(standardisation: Standardisation) -> tuple[Tensor, Tensor]:
    """Return mean and divisor as (c, 1, 1)."""
    mean, divisors = torch.tensor(standardisation.mean), torch.tensor(standardisation.divisors)
    return mean[:, None, None], divisors[:, None, None]
