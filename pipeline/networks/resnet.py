"""A pre-activation residual network over latents that returns logits and features."""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from pipeline.networks.heads import build_head
from pipeline.params.networks import HeadParams, NetworkParams


class Prediction(NamedTuple):
    """The outputs of a network for a batch."""

    logits: Tensor  # (n, k)
    features: Tensor  # (n, d)


class MeanScaling(NamedTuple):
    """How the mean over places of a standardised latent becomes a feature: (mean - zero) * scale, by channel."""

    zero: Tensor  # (c,) what a latent of zeros is when it is standardised
    scale: Tensor  # (c,)


class LatentResNet(nn.Module):
    """Pre-activation ResNet (He et al. 2016, https://arxiv.org/abs/1603.05027) for small feature maps.

    Differs from the paper in its group normalisation (Wu and He 2018). With it, the prediction of a row does not depend
    on the other rows of its batch, and outliers are among these.

    The features are the mean over places of its last map, after the mean of the latent itself where
    `params.latent_mean` asks for it. Normalised maps do not tell how strong a latent is, and latents of a pretrained
    backbone tell ID images from others as they are: so this mean counts from the encoder's zero, not from the centre
    of the ID images, and channels that vary more count more.

    mean_scaling: of that mean; None takes it as it is.
    """

    def __init__(
        self,
        latent_channels: int,
        classes: int,
        params: NetworkParams,
        head: HeadParams,
        mean_scaling: MeanScaling | None = None,
    ) -> None:
        super().__init__()
        widths = [params.width * 2**stage for stage in range(len(params.blocks))]
        layers: list[nn.Module] = [nn.Conv2d(latent_channels, widths[0], 3, padding=1, bias=False)]
        channels = widths[0]
        for stage, (width, blocks) in enumerate(zip(widths, params.blocks, strict=True)):
            for block in range(blocks):
                layers.append(_Block(channels, width, stride=2 if stage and not block else 1))
                channels = width
        layers += [_norm(channels), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.latent_mean = params.latent_mean
        self.zero: Tensor
        self.scale: Tensor
        scaling = mean_scaling or MeanScaling(torch.zeros(latent_channels), torch.ones(latent_channels))
        self.register_buffer("zero", scaling.zero, persistent=False)
        self.register_buffer("scale", scaling.scale, persistent=False)
        self.features = channels + latent_channels * params.latent_mean
        self.head = build_head(head, self.features, classes)

    def forward(self, latents: Tensor) -> Prediction:
        """Return logits (n, k) and features (n, d) of standardised latents (n, c, h, w)."""
        features = self.body(latents).mean((2, 3))  # a pooling layer has no repeatable gradient on a GPU
        if self.latent_mean:
            features = torch.cat([(latents.mean((2, 3)) - self.zero) * self.scale, features], dim=1)
        return Prediction(self.head(features), features)

    def take_over(self, other: Self) -> None:
        """Copy the weights of another network: all of its body, and those of its head that this head also has."""
        weights = self.state_dict()
        shared = {name: value for name, value in other.state_dict().items() if name in weights}
        self.load_state_dict(weights | shared)


class _Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.residual = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            _norm(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )
        self.shortcut = nn.Conv2d(channels, width, 1, stride, bias=False) if (channels, stride) != (width, 1) else None

    def forward(self, maps: Tensor) -> Tensor:
        activated = torch.relu(self.norm(maps))
        shortcut = maps if self.shortcut is None else self.shortcut(activated)
        output: Tensor = shortcut + self.residual(activated)
        return output


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, width)
