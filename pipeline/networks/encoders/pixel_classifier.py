"""A small residual classifier of pixels; the feature map in its middle is the latent."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as tensor_bytes
from torch import Tensor, nn

from pipeline.networks.encoders.model import EncoderModel, ModelSettings
from pipeline.networks.fitting import require_fitting
from pipeline.params.encoder import Widths
from pipeline.runtime.device import full_float32
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import write_bytes

WEIGHTS = "model.safetensors"


class PixelPrediction(NamedTuple):
    """The outputs of a classifier of pixels for a batch."""

    logits: Tensor  # (n, k)
    latents: Tensor  # (n, c, s / 8, s / 8)


class PixelClassifier(nn.Module):
    """ResNet (He et al. 2015, https://arxiv.org/abs/1512.03385) for small images, with one block per resolution.

    The stem halves the sides with a max pooling, each further stage with its first convolution. So the latent, which is
    the output of the third stage, has an eighth of the image's side. The fourth stage and the head follow.
    """

    def __init__(self, widths: Widths, classes: int) -> None:
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


class SupervisedSettings(ModelSettings):
    """The architecture of a trained classifier of pixels."""

    kind: Literal["supervised"] = "supervised"
    widths: Widths
    classes: Annotated[int, Field(ge=1, le=2**20)]


class SupervisedEncoder(EncoderModel):
    """The lower half of a trained classifier of pixels, in evaluation mode. Its upper half stays, for its logits."""

    settings: SupervisedSettings

    def __init__(self, network: PixelClassifier, settings: SupervisedSettings) -> None:
        self.network: Any = network.eval().requires_grad_(requires_grad=False)
        self.settings = settings

    @classmethod
    def load(cls, folder: Path, settings: SupervisedSettings) -> Self:
        """Read the weights; raises ModelError when they are damaged or of another architecture."""
        try:
            require_fitting(lambda: PixelClassifier(settings.widths, settings.classes), folder / WEIGHTS)
            network = PixelClassifier(settings.widths, settings.classes)
            network.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, SafetensorError, RuntimeError, ValueError) as error:
            raise ModelError(f"{folder / WEIGHTS}: no classifier of pixels could be read ({reason(error)}).") from error
        return cls(network, settings)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the feature map in the middle."""
        with full_float32():
            maps: Tensor = self.network.lower(images.contiguous(memory_format=torch.channels_last))
        return maps

    def to(self, device: torch.device) -> Self:
        """Move to `device`, in the memory layout in which convolutions are fastest."""
        self.network.to(device, memory_format=torch.channels_last)
        return self

    def save(self, folder: Path) -> None:
        """Write the weights."""
        weights = {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()}
        write_bytes(folder / WEIGHTS, tensor_bytes(weights))
