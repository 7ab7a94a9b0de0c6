"""A small residual classifier of pixels; the feature map in its middle is the latent."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class PixelPrediction(NamedTuple):
    """The outputs of a classifier of pixels for a batch."""

    logits: Tensor  # (n, k)
    latents: Tensor  # (n, c, s / 8, s / 8)


class PixelClassifier(nn.Module):
    """ResNet (He et al. 2015, https://arxiv.org/abs/1512.03385) for small images, with one block per resolution.

    The stem halves the sides with a max pooling, each further stage with its first convolution. So the latent, which is
    the output of the third stage, has an eighth of the image's side. The fourth stage and the head follow.
    """

    def __init__(self, widths: tuple[int, int, int, int], classes: int) -> None:
        super().__init__()
        first, *others = widths
        stem = (nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(), nn.MaxPool2d(2))
        stages: list[nn.Module] = [nn.Sequential(*stem, Block(first, first, 1))]
        stages += [Block(before, width, 2) for before, width in zip(widths, others, strict=False)]
        self.lower, self.upper = nn.Sequential(*stages[:3]), stages[3]
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, pixels: Tensor) -> PixelPrediction:
        """Return logits and latents of images (n, 3, s, s) in -1..1."""
        latents = self.lower(pixels)
        return PixelPrediction(self.head(self.upper(latents).mean((2, 3))), latents)


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if (channels, stride) != (width, 1):
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (n, width, h / stride, w / stride)."""
        return torch.relu(self.residual(maps) + self.shortcut(maps))
