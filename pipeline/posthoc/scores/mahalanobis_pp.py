"""Mahalanobis++: the Mahalanobis distance of features at unit length."""

from torch import Tensor
from torch.nn.functional import normalize

from pipeline.params.infer import InferParams
from pipeline.posthoc.covariance import class_covariance, mahalanobis_distances
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore


class MahalanobisPP(PosthocScore):
    """Squared Mahalanobis distance to the nearest class mean, for features scaled to unit length.

    Deviation from the paper: the covariance may be shrunk (`mahalanobis_pp_shrinkage`).
    """

    title = "Mahalanobis++"
    source = "Mueller and Hein 2025, https://arxiv.org/abs/2505.18032"
    learns = ("unit_means", "unit_whitening")  # (k, d), (d, r), of unit-length features

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:
        """Return class means and whitening of the unit-length ID training features."""
        unit = normalize(known.outputs.features, dim=1)
        covariance = class_covariance(unit, known.labels, shrinkage=params.mahalanobis_pp_shrinkage)
        return dict(zip(cls.learns, covariance, strict=True))

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        unit = normalize(outputs.features, dim=1)
        return mahalanobis_distances(unit, *self.tensors.values()).min(1).values
