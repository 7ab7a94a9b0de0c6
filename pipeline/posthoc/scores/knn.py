"""k-NN: the distance to the k-th nearest ID training feature."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.latents.neighbours import Bank, kth_distance
from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore


class Knn(PosthocScore):
    """Distance of a feature, scaled to unit length, to the k-th nearest ID training feature, 0 to 2."""

    title = "k-NN"
    source = "Sun et al. 2022, https://arxiv.org/abs/2204.06507, section 3"
    learns = ("bank",)  # (m, d), each row of unit length

    def __init__(self, params: InferParams, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(params, tensors)
        self._bank = Bank(self.tensors["bank"])

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # same signature for every score
        """Return the ID training features, scaled to unit length."""
        return {"bank": normalize(known.outputs.features, dim=1)}

    @classmethod
    def extended(cls, tensors: Mapping[str, Tensor], outputs: NetworkOutputs) -> dict[str, Tensor] | None:
        """Return the bank with more features."""
        return {"bank": torch.cat([tensors["bank"], normalize(outputs.features, dim=1)])}

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,); raises ValueError if there are fewer ID training images than k."""
        return kth_distance(normalize(outputs.features, dim=1), self._bank, self.params.knn_neighbours)
