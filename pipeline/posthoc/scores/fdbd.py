"""fDBD: how near a feature is to the boundaries between its class and the others."""

import torch
from torch import Tensor

from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore

SHORTEST = 1e-8


class Fdbd(PosthocScore):
    """Minus the mean distance of a feature to the boundaries of its class, over its distance to the mean feature.

        score = -mean over c of |logit_y - logit_c| / |w_y - w_c| / |feature - centre|,   y the predicted class

    w are the head's weights, centre is the mean ID training feature. A class whose weights are those of y has no
    boundary and is left out. A distance to the centre below SHORTEST counts as SHORTEST.
    """

    title = "fDBD"
    source = "Liu and Qin 2024, https://arxiv.org/abs/2312.11536, eq. 6"
    learns = ("centre", "weight_distances")  # (d,), (k, k)

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # same signature for every score
        """Return the mean ID training feature, and the distances between the weights of classes."""
        apart = (known.weight[:, None] - known.weight[None]).norm(dim=2)
        return dict(zip(cls.learns, (known.outputs.features.mean(0), apart), strict=True))

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        centre, weight_distances = self.tensors.values()
        largest = outputs.logits.max(1, keepdim=True)
        apart = weight_distances[largest.indices[:, 0]]
        to_boundaries = torch.where(apart > 0, (largest.values - outputs.logits) / apart, 0.0)
        others = (apart > 0).sum(1).clamp(min=1)
        to_centre = (outputs.features - centre).norm(dim=1).clamp(min=SHORTEST)
        score: Tensor = -to_boundaries.sum(1) / others / to_centre
        return score
