"""Combined: the sum of a neighbour, a class-mean and a logit score, each brought to the same scale."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.latents.neighbours import evenly_spaced_rows, kth_distance
from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore
from pipeline.posthoc.scores.gen import Gen
from pipeline.posthoc.scores.mahalanobis_pp import MahalanobisPP


class Combined(PosthocScore):
    """The sum of three scores, each divided by its standard deviation over the ID validation images.

        near / std(near) + mahalanobis_pp / std(mahalanobis_pp) + gen / std(gen)

    near is the distance to the k-th nearest kept feature; a few ID training images per class are kept. Some outliers
    are far from every image of a class. Some differ from the images of a class as a whole. Some belong to no class by
    their logits. The sum detects all three kinds. A score that does not vary over the ID validation images is ignored.
    Training images would not do: the network and the covariance are fitted to them, so that their scores vary less.
    """

    title = "combined"
    source = "this project; docs/log.md has how it was chosen"
    learns = ("unit_means", "unit_whitening", "kept", "spreads")  # as in Mahalanobis++; (p, d), unit length; (3,)

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:
        """Return the tensors of Mahalanobis++, the kept features, and the standard deviation of each part."""
        kept = evenly_spaced(known.labels, params.combined.images_per_class)
        tensors = MahalanobisPP.fit(known, params) | {"kept": normalize(known.outputs.features[kept], dim=1)}
        parts = _parts(known.validation, tensors, params)
        varies = parts.amax(1) > parts.amin(1)
        return tensors | {"spreads": torch.where(varies, parts.std(1, correction=0), 0.0)}

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        scales = self.tensors["spreads"]
        return torch.where(scales > 0, 1 / scales, 0.0) @ _parts(outputs, self.tensors, self.params)


def _parts(outputs: NetworkOutputs, tensors: dict[str, Tensor], params: InferParams) -> Tensor:  # (3, n)
    """Return the three parts: distance to kept images, distance to class means, and GEN."""
    neighbours = min(params.combined.neighbours, len(tensors["kept"]))
    near = kth_distance(normalize(outputs.features, dim=1), tensors["kept"], neighbours)
    return torch.stack([near, MahalanobisPP(params, tensors).score(outputs), Gen(params, {}).score(outputs)])


def evenly_spaced(
    labels: Tensor,  # (m,)
    most: int,
) -> Tensor:  # (p,) int64, ascending
    """Return the indices of at most `most` rows per class, evenly spaced from its first row to its last."""
    chosen = []
    for label in labels.unique():
        rows = torch.nonzero(labels == label)[:, 0]
        chosen.append(rows[evenly_spaced_rows(len(rows), most, rows.device)])
    return torch.cat(chosen).sort().values
