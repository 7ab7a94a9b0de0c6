"""Relative Mahalanobis: distance to the nearest class, relative to the distance to all classes together."""

import torch
from torch import Tensor

from pipeline.params.infer import InferParams
from pipeline.posthoc.covariance import class_covariance, mahalanobis_distances
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore


class RelativeMahalanobis(PosthocScore):
    """Squared Mahalanobis distance to the nearest class mean, minus the distance to the overall mean.

    The overall mean and covariance are those of all ID training features, regardless of class.
    """

    title = "relative Mahalanobis"
    source = "Ren et al. 2021, https://arxiv.org/abs/2106.09022, eq. 2"
    learns = ("class_means", "class_whitening", "mean", "whitening")  # (k, d), (d, r), (1, d), (d, r)

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # same signature for every score
        """Return class means and within-class whitening, then mean and whitening of all ID training features."""
        features, labels = known.outputs.features, known.labels
        within, overall = class_covariance(features, labels), class_covariance(features, torch.zeros_like(labels))
        return dict(zip(cls.learns, (*within, *overall), strict=True))

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        means, whitening, mean, overall = self.tensors.values()
        background = mahalanobis_distances(outputs.features, mean, overall)[:, 0]
        return mahalanobis_distances(outputs.features, means, whitening).min(1).values - background
