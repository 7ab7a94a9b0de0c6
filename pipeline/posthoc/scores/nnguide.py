"""NNGuide: the energy, guided by the nearest ID training features and how sure their own energies are."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.latents.neighbours import BLOCK_VALUES
from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore


class NNGuide(PosthocScore):
    """-logsumexp(logits) times the mean of the `knn_neighbours` largest products with ID training images.

        product_ij = cosine(feature_i, feature_j) logsumexp(logits_j),   j an ID training image

    Deviation from the paper: all ID training images are kept, not a part of them.
    """

    title = "NNGuide"
    source = "Park et al. 2023, https://arxiv.org/abs/2309.14888, eq. 2 to 4"
    learns = ("bank", "bank_energies")  # (m, d), each row of unit length; (m,)

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:  # noqa: ARG003  # same signature for every score
        """Return the ID training features, scaled to unit length, and the logsumexp of the logits of each."""
        energies = torch.logsumexp(known.outputs.logits, 1)
        return dict(zip(cls.learns, (normalize(known.outputs.features, dim=1), energies), strict=True))

    @classmethod
    def extended(cls, tensors: Mapping[str, Tensor], outputs: NetworkOutputs) -> dict[str, Tensor] | None:
        """Return the bank with more features, and their energies."""
        added = normalize(outputs.features, dim=1), torch.logsumexp(outputs.logits, 1)
        return {name: torch.cat([tensors[name], rows]) for name, rows in zip(cls.learns, added, strict=True)}

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,); raises RuntimeError if there are fewer ID training images than k."""
        bank, energies = self.tensors.values()
        return guided_energy(outputs, bank, energies, self.params.knn_neighbours)


def guided_energy(
    outputs: NetworkOutputs,
    bank: Tensor,  # (m, d), each row of unit length
    energies: Tensor,  # (m,), logsumexp of the logits of each row
    neighbours: int,
) -> Tensor:  # (n,)
    """Return -logsumexp(logits) times the mean of the largest products of cosine and energy with rows of a bank."""
    blocks = normalize(outputs.features, dim=1).split(max(1, BLOCK_VALUES // len(bank)))
    products = [((block @ bank.T) * energies).topk(neighbours, dim=1).values.mean(1) for block in blocks]
    return -torch.logsumexp(outputs.logits, 1) * torch.cat(products)
