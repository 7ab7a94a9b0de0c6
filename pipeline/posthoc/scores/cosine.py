"""Cosine: the angle between a feature and the nearest class weight vector."""

from torch import Tensor
from torch.nn.functional import normalize

from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore


class Cosine(PosthocScore):
    """1 - the largest cosine between a feature and a class's weights, from 0 to 2; a zero feature scores 1.

    Angular heads use the cosine as their confidence (arXiv 2405.00631); this score works for any head.
    """

    title = "cosine"
    source = "Techapanurak et al. 2020, https://arxiv.org/abs/1905.10628, section 3"
    learns = ("class_weights",)  # (k, d)

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # same signature for every score
        """Return the weights of the head."""
        return {"class_weights": known.weight}

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        weights = normalize(self.tensors["class_weights"], dim=1)
        return 1 - (normalize(outputs.features, dim=1) @ weights.T).max(1).values
