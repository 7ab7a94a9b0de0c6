"""ReAct: the energy of features whose large values are cut off."""

import torch
from torch import Tensor

from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore

PERCENTILE = 0.9
"""Share of the values of ID training features that are not cut off; the paper's."""


class React(PosthocScore):
    """Energy of the head's logits for features that are cut off at a value which few ID training features exceed."""

    title = "ReAct"
    source = "Sun et al. 2021, https://arxiv.org/abs/2111.12797, eq. 3"
    learns = ("class_weights", "class_biases", "ceiling")  # (k, d), (k,), ()

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # same signature for every score
        """Return weights and biases of the head, and the value at which features are cut off."""
        values = known.outputs.features.flatten().sort().values  # torch.quantile takes 2^24 values at most
        position = PERCENTILE * (len(values) - 1)
        ceiling = torch.lerp(values[int(position)], values[min(int(position) + 1, len(values) - 1)], position % 1)
        return dict(zip(cls.learns, (known.weight, known.bias, ceiling), strict=True))

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        weights, biases, ceiling = self.tensors.values()
        return -torch.logsumexp(outputs.features.minimum(ceiling) @ weights.T + biases, 1)
