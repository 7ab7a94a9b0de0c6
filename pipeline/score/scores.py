"""Post-hoc outlier scores in float64, all with one direction: larger = more outlier."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.neighbours import kth_distance
from pipeline.networks.folder import predict
from pipeline.networks.resnet import LatentResNet

Scores = dict[str, NDArray[np.float64]]


class Outputs(NamedTuple):
    """What a network says of a set, in float64."""

    logits: Tensor  # (n, k)
    features: Tensor  # (n, d)


def outputs(network: LatentResNet, latents: Tensor) -> Outputs:
    """Return the one feature extraction that every score is computed from."""
    logits, features = predict(network, latents)
    return Outputs(logits.double(), features.double())


def msp_score(
    logits: Tensor,  # (n, k)
) -> Tensor:  # (n,) nats
    """Return -log max softmax: orders images as 1 - max softmax does, but does not saturate when that reaches 0.

    Source: Hendrycks and Gimpel 2017, https://arxiv.org/abs/1610.02136.
    """
    return torch.logsumexp(logits, 1) - logits.max(1).values


def energy_score(
    logits: Tensor,  # (n, k)
) -> Tensor:  # (n,) nats
    """Return the free energy -logsumexp at temperature 1.

    Source: Liu et al. 2020, https://arxiv.org/abs/2010.03759, eq. 4.
    """
    return -torch.logsumexp(logits, 1)


def knn_score(
    features: Tensor,  # (n, d)
    bank: Tensor,  # (m, d) of the ID training rows
    neighbours: int,
) -> Tensor:  # (n,) 0..2
    """Return the distance to the k-th nearest ID training feature, all scaled to unit length.

    Source: Sun et al. 2022, https://arxiv.org/abs/2204.06507, section 3.
    """
    return kth_distance(normalize(features, dim=1), normalize(bank, dim=1), neighbours)


def all_scores(of: Outputs, bank: Tensor, neighbours: int) -> Scores:
    """Return every score of a set by name, each (n,)."""
    found = {
        "msp": msp_score(of.logits),
        "energy": energy_score(of.logits),
        "knn": knn_score(of.features, bank, neighbours),
    }
    return {name: values.numpy() for name, values in found.items()}
