"""The lower half of a small residual classifier of pixels: its feature map is the latent."""

from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.networks.encoders.model import EncoderModel, ModelSettings
from pipeline.networks.fitting import require_fitting
from pipeline.networks.tensor_file import write_tensors
from pipeline.params.encoder import Widths
from pipeline.runtime.device import full_float32
from pipeline.runtime.errors import ModelError, reason

WEIGHTS = "model.safetensors"


class PixelTrunk(nn.Module):
    """The lower half of a ResNet (He et al. 2015, https://arxiv.org/abs/1512.03385) for small images.

    The stem halves the sides with a max pooling, and each further stage with its first convolution. So latents have an
    eighth of the image's side. A batch normalisation without weights ends it, so that every channel of the latent has
    about mean 0 and deviation 1, of either sign: outliers are made by adding noise to latents and by mixing them.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        first, second, last = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.stages = nn.Sequential(Block(first, first, 1), nn.ReLU(), Block(first, second, 2), nn.ReLU())
        self.last = nn.Sequential(Block(second, last, 2), nn.BatchNorm2d(last, affine=False))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return latents (n, c, s / 8, s / 8) of images (n, 3, s, s) in -1..1."""
        latents: Tensor = self.last(self.stages(self.stem(pixels)))
        return latents


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, without the activation that follows."""

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
        output: Tensor = self.residual(maps) + self.shortcut(maps)
        return output


class SupervisedSettings(ModelSettings):
    """The architecture of the lower half."""

    kind: Literal["supervised"] = "supervised"
    widths: Widths


class SupervisedEncoder(EncoderModel):
    """The lower half of a trained classifier of pixels, in evaluation mode."""

    settings: SupervisedSettings

    def __init__(self, trunk: PixelTrunk, settings: SupervisedSettings) -> None:
        self.trunk: Any = trunk.eval().requires_grad_(requires_grad=False)
        self.settings = settings

    @classmethod
    def load(cls, folder: Path, settings: SupervisedSettings) -> Self:
        """Read the weights; raises ModelError when they are damaged or of another architecture."""
        try:
            require_fitting(lambda: PixelTrunk(settings.widths), folder / WEIGHTS)
            trunk = PixelTrunk(settings.widths)
            trunk.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, SafetensorError, RuntimeError, ValueError) as error:
            raise ModelError(f"{folder / WEIGHTS}: no classifier of pixels could be read ({reason(error)}).") from error
        return cls(trunk, settings)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the feature map in the middle."""
        with full_float32():
            maps: Tensor = self.trunk(images.contiguous(memory_format=torch.channels_last))
        return maps

    def to(self, device: torch.device) -> Self:
        """Move to `device`, in the memory layout in which convolutions are fastest."""
        self.trunk.to(device, memory_format=torch.channels_last)
        return self

    def save(self, folder: Path) -> None:
        """Write the weights."""
        write_tensors(folder / WEIGHTS, self.trunk.state_dict())
