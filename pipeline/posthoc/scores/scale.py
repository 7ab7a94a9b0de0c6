"""SCALE: the energy of features that are multiplied by how evenly their strength is spread."""

import torch
from torch import Tensor

from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore

PERCENTILE = 0.85
"""Share of the dimensions that are not among the largest; the paper's."""


class Scale(PosthocScore):
    """Energy of the head's logits for features times exp(r).

        r = sum of all values / sum of the largest 15 % of the values

    Deviation from the paper, whose features are not negative: negative values count as 0 in r. A feature without a
    positive value is not scaled.
    """

    title = "SCALE"
    source = "Xu et al. 2024, https://arxiv.org/abs/2310.00227, eq. 6 and 7"
    learns = ("class_weights", "class_biases")  # (k, d), (k,)

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # same signature for every score
        """Return weights and biases of the head."""
        return dict(zip(cls.learns, (known.weight, known.bias), strict=True))

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        weights, biases = self.tensors.values()
        scaled = outputs.features * scale_factors(outputs.features)[:, None]
        return -torch.logsumexp(scaled @ weights.T + biases, 1)


def scale_factors(features: Tensor) -> Tensor:  # (n, d) -> (n,)
    """Return exp(r) of each feature."""
    strength = features.clamp(min=0)
    largest = strength.topk(max(1, features.shape[1] - round(PERCENTILE * features.shape[1])), dim=1).values.sum(1)
    ratio = strength.sum(1) / largest
    return torch.where(largest > 0, ratio, 0.0).exp()
