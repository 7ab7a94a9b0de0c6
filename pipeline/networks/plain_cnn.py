"""A plain CNN of four layers on pixels, as tutorials on image classification have it."""

import torch
from torch import Tensor, nn

WIDTHS = (32, 64, 128, 256)


class PlainCnn(nn.Module):
    """Four times convolution, pooling, batch normalisation and ReLU; then the mean over places and a linear head."""

    def __init__(self, classes: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip((3, *widths), widths, strict=False):
            convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
            layers += [convolution, nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], classes)

    def features(self, pixels: Tensor) -> Tensor:  # (n, 3, s, s) in -1..1 to (n, d)
        """Return what the head reads."""
        return self.body(pixels).mean((2, 3))  # type: ignore[no-any-return]

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (n, k)."""
        return self.head(self.features(pixels))  # type: ignore[no-any-return]


def as_pixels(images: Tensor) -> Tensor:
    """Return levels of 0..255 as -1..1, in the memory layout in which convolutions are fastest."""
    return (images.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
