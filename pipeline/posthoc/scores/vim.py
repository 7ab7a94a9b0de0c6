"""ViM: the part of a feature outside the principal space, added to the energy."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.params.infer import InferParams
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore
from pipeline.posthoc.scores.energy import Energy


class VimTensors(NamedTuple):
    """The learnt tensors of ViM."""

    origin: Tensor  # (d,)
    residual: Tensor  # (d, r), an orthonormal basis of the residual space
    alpha: Tensor  # ()


class Vim(PosthocScore):
    """alpha times the residual length, plus the energy: eq. 7 of the paper up to a monotone map."""

    title = "ViM"
    source = "Wang et al. 2022, https://arxiv.org/abs/2203.10807"
    learns = ("vim_origin", "vim_residual", "vim_alpha")  # (d,), (d, r), ()

    @classmethod
    def fit(cls, known: IdImages, params: InferParams) -> dict[str, Tensor]:
        """Return origin, residual space and alpha."""
        tensors = fit_vim(known.outputs, known.weight, known.bias, params.vim_principal)
        return dict(zip(cls.learns, tensors, strict=True))

    def score(self, outputs: NetworkOutputs) -> Tensor:
        """Return the score of each image, (n,)."""
        origin, residual, alpha = self.tensors.values()
        return alpha * vim_residual(outputs.features, origin, residual) + Energy(self.params, {}).score(outputs)


def vim_residual(
    features: Tensor,  # (n, d)
    origin: Tensor,  # (d,)
    residual: Tensor,  # (d, r), orthonormal columns
) -> Tensor:  # (n,)
    """Return the length of the part of each feature outside the principal space.

    Source: Wang et al. 2022, https://arxiv.org/abs/2203.10807, eq. 5.
    """
    lengths: Tensor = ((features - origin) @ residual).norm(dim=1)
    return lengths


def fit_vim(outputs: NetworkOutputs, weight: Tensor, bias: Tensor, principal: float) -> VimTensors:
    """Return ViM's origin, residual space and alpha.

        origin = -pinv(weight) bias,   residual: the eigenvectors of (x - origin)^T (x - origin) beyond the largest
        round(principal d),   alpha = mean largest logit / mean residual of the ID training images

    At least one direction is principal and at least one is residual. If the mean residual is 0, alpha is 0 and the
    score equals the energy.

    Source: Wang et al. 2022, https://arxiv.org/abs/2203.10807, section 4. The paper's number of principal dimensions
    (1000 of 2048) is given here as a share, `principal`.
    """
    size = outputs.features.shape[1]
    origin = -torch.linalg.pinv(weight) @ bias
    centred = outputs.features - origin
    _, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))  # in ascending order of eigenvalue
    principal_size = min(max(round(principal * size), 1), size - 1)
    residual = vectors[:, : size - principal_size]
    length = vim_residual(outputs.features, origin, residual).mean()
    alpha = outputs.logits.max(1).values.mean() / length if length > 0 else torch.zeros_like(length)
    return VimTensors(origin, residual, alpha)
