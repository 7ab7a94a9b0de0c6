"""The base class of all post-hoc scores: a score learns from ID images, then scores any images.

Symbols: n images, k ID classes, d feature dimensions, m ID training images. Scores are float64, larger = more outlier.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from pipeline.networks.resnet import LatentResNet
from pipeline.networks.saved_network import predict
from pipeline.params.infer import InferParams


class NetworkOutputs(NamedTuple):
    """Logits and features of images in float64, on the device where scores are computed."""

    logits: Tensor  # (n, k)
    features: Tensor  # (n, d)

    def to(self, device: torch.device) -> Self:
        """Return the same outputs on another device."""
        return type(self)(self.logits.to(device), self.features.to(device))


class IdImages(NamedTuple):
    """The data that scores learn from: a network's outputs on ID images, and its head."""

    outputs: NetworkOutputs  # of the m ID training images
    labels: Tensor  # (m,) of these
    validation: NetworkOutputs  # of the ID validation images, which the network has not learnt from
    weight: Tensor  # (k, d), of the head
    bias: Tensor  # (k,), of the head; zeros if the head has no bias


class PosthocScore(ABC):
    """A score computed from a trained network's outputs; the name of its module is the name of the score.

    tensors: the learnt tensors by name, float64, on the device of the outputs to score. Bundles store them under these
    names, so the names must not change.
    """

    title: ClassVar[str]
    """The usual name, for tables and sentences."""
    source: ClassVar[str]
    """The paper that introduced the score."""
    learns: ClassVar[tuple[str, ...]] = ()
    """Names of the learnt tensors; empty if the score needs only the outputs."""

    def __init__(self, params: InferParams, tensors: Mapping[str, Tensor]) -> None:
        self.params, self.tensors = params, {name: tensors[name] for name in self.learns}

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # most learn nothing
        """Return the tensors listed in `learns`, learnt from ID images."""
        return {}

    @classmethod
    def extended(cls, tensors: Mapping[str, Tensor], outputs: NetworkOutputs) -> dict[str, Tensor] | None:  # noqa: ARG003  # most compare with no images
        """Return the learnt tensors with more ID images to compare with; None for a score that compares with none."""
        return None

    @abstractmethod
    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the outlier score of each image, (n,)."""


def network_outputs(network: LatentResNet, latents: Tensor) -> NetworkOutputs:
    """Return the outputs that every score is computed from, on the network's GPU or else on the CPU."""
    logits, features = predict(network, latents)
    device = scoring_device(next(network.parameters()).device)
    return NetworkOutputs(logits.double(), features.double()).to(device)


def scoring_device(device: torch.device) -> torch.device:
    """Return the device on which scores are computed for a network on `device`.

    This is the CPU unless the device is a CUDA GPU, as other accelerators may lack float64.
    """
    return device if device.type == "cuda" else torch.device("cpu")


def head_of(network: LatentResNet, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the head's weight (k, d) and bias (k,), in float64."""
    weight = network.head.weight.detach().to(device, torch.float64)
    bias = getattr(network.head, "bias", None)  # angular heads have none
    return weight, weight.new_zeros(len(weight)) if bias is None else bias.detach().to(device, torch.float64)
