"""Combined: the sum of a class-mean score and of a neighbour score guided by the logits, brought to the same scale."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.latents.neighbours import evenly_spaced_rows
from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore
from pipeline.posthoc.scores.mahalanobis_pp import MahalanobisPP
from pipeline.posthoc.scores.nnguide import guided_energy


class Combined(PosthocScore):
    """The sum of two scores, each divided by its standard deviation over the ID validation images.

        distance / std(distance) + guided / std(guided),   distance = log(1 + mahalanobis_pp)

    The logarithm keeps a few distant images from deciding the deviation, since squared distances differ by orders of
    magnitude. guided is NNGuide with the logits less their mean, among a few kept ID training images per class. Some
    outliers differ from the images of every class as a whole. Some are near to no image of which the network is sure,
    or it is not sure of them. The sum detects all of these. A prediction does not change when all logits grow alike,
    and without their mean guided does not either, and its energies are positive. A score that does not vary over the ID
    validation images is ignored. Training images would not do: the network and the covariance are fitted to them, so
    that their scores vary less.
    """

    title = "combined"
    source = "this project; docs/log.md has how it was chosen"
    learns = ("unit_means", "unit_whitening", "kept", "kept_energies", "spreads")
    # as in Mahalanobis++; (p, d) of unit length, (p,), (2,)

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:
        """Return the tensors of Mahalanobis++, the kept features and their energies, and the spread of each part."""
        rows = evenly_spaced(known.labels, params.combined.images_per_class)
        tensors = MahalanobisPP.fit(known, params) | {
            "kept": normalize(known.outputs.features[rows], dim=1),
            "kept_energies": torch.logsumexp(centred(known.outputs.logits[rows]), 1),
        }
        parts = _parts(known.validation, tensors, params)
        varies = parts.amax(1) > parts.amin(1)
        return tensors | {"spreads": torch.where(varies, parts.std(1, correction=0), 0.0)}

    @classmethod
    def extended(cls, tensors: Mapping[str, Tensor], outputs: NetworkOutputs) -> dict[str, Tensor] | None:
        """Return the tensors with more kept features; means, covariance and spreads stay those of the run."""
        added = {
            "kept": normalize(outputs.features, dim=1),
            "kept_energies": torch.logsumexp(centred(outputs.logits), 1),
        }
        return dict(tensors) | {name: torch.cat([tensors[name], rows]) for name, rows in added.items()}

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        scales = self.tensors["spreads"]
        return torch.where(scales > 0, 1 / scales, 0.0) @ _parts(outputs, self.tensors, self.params)


def _parts(outputs: NetworkOutputs, tensors: dict[str, Tensor], params: InferParams) -> Tensor:  # (2, n)
    """Return the two parts: the logarithm of the distance to class means, and the guided energy."""
    neighbours = min(params.combined.neighbours, len(tensors["kept"]))
    of_centred = outputs._replace(logits=centred(outputs.logits))
    guided = guided_energy(of_centred, tensors["kept"], tensors["kept_energies"], neighbours)
    return torch.stack([MahalanobisPP(params, tensors).score(outputs).log1p(), guided])


def centred(logits: Tensor) -> Tensor:
    """Return logits (n, k) less the mean of each row."""
    return logits - logits.mean(1, keepdim=True)


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
