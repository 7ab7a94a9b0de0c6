"""Mahalanobis: the distance to the nearest class mean."""

from torch import Tensor

from pipeline.params.infer import InferParams
from pipeline.posthoc.covariance import class_covariance, mahalanobis_distances
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore


class Mahalanobis(PosthocScore):
    """Squared Mahalanobis distance to the nearest class mean, with one covariance for all classes."""

    title = "Mahalanobis"
    source = "Lee et al. 2018, https://arxiv.org/abs/1807.03888, eq. 2"
    learns = ("class_means", "class_whitening")  # (k, d), (d, r)

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # same signature for every score
        """Return class means and whitening of the ID training features."""
        return dict(zip(cls.learns, class_covariance(known.outputs.features, known.labels), strict=True))

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        distances = mahalanobis_distances(outputs.features, *self.tensors.values())
        return distances.min(1).values
