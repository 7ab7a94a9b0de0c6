"""Every post-hoc score of one network, with what each has to learn from the ID training images."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.infer.params import InferParams, ScoreName
from pipeline.infer.scores import (
    cosine_score,
    energy_score,
    gen_score,
    knn_score,
    mahalanobis_distances,
    max_logit_score,
    msp_score,
    vim_residual,
)
from pipeline.networks.folder import predict
from pipeline.networks.resnet import LatentResNet


class Outputs(NamedTuple):
    """What a network says of images, in float64."""

    logits: Tensor  # (n, k)
    features: Tensor  # (n, d)


class Gaussian(NamedTuple):
    """Class means and one covariance for all; of the background a single mean."""

    means: Tensor  # (k, d)
    whitening: Tensor  # (d, r), times its transpose the precision


class Vim(NamedTuple):
    """What ViM adds to the energy."""

    origin: Tensor  # (d,)
    residual: Tensor  # (d, r)
    alpha: Tensor  # ()


def outputs(network: LatentResNet, latents: Tensor) -> Outputs:
    """Return the one feature extraction that every score is computed from."""
    logits, features = predict(network, latents)
    return Outputs(logits.double(), features.double())


class FittedScores:
    """The nine scores of one network, fitted to its outputs on the ID training images.

    Raises ValueError when the bank has fewer rows than `knn_neighbours`.
    """

    def __init__(self, network: LatentResNet, known: Outputs, labels: Tensor, params: InferParams) -> None:
        self.params, self.bank = params, known.features
        self.weight = network.head.weight.detach().cpu().double()
        bias = getattr(network.head, "bias", None)  # angular heads have none
        shift = self.weight.new_zeros(len(self.weight)) if bias is None else bias.detach().cpu().double()
        self.classes = class_gaussian(known.features, labels)
        self.background = class_gaussian(known.features, torch.zeros_like(labels))
        self.vim = fit_vim(known, self.weight, shift, params.vim_principal)

    def __call__(self, of: Outputs) -> dict[ScoreName, Tensor]:
        """Return every score, each (n,) float64, larger = more outlier.

        mahalanobis: the squared distance to the nearest class mean (Lee et al. 2018,
        https://arxiv.org/abs/1807.03888, eq. 2). relative_mahalanobis: less that to the mean of all classes, with the
        covariance of all (Ren et al. 2021, https://arxiv.org/abs/2106.09022, eq. 2). vim: alpha times the residual,
        plus the energy (Wang et al. 2022, eq. 7, up to a monotone map).
        """
        near = mahalanobis_distances(of.features, *self.classes).min(1).values
        energy = energy_score(of.logits)
        return {
            "msp": msp_score(of.logits),
            "max_logit": max_logit_score(of.logits),
            "energy": energy,
            "gen": gen_score(of.logits, gamma=self.params.gen.gamma, classes=self.params.gen.classes),
            "cosine": cosine_score(of.features, self.weight),
            "knn": knn_score(of.features, self.bank, self.params.knn_neighbours),
            "mahalanobis": near,
            "relative_mahalanobis": near - mahalanobis_distances(of.features, *self.background)[:, 0],
            "vim": self.vim.alpha * vim_residual(of.features, self.vim.origin, self.vim.residual) + energy,
        }


def class_gaussian(
    features: Tensor,  # (m, d)
    labels: Tensor,  # (m,)
) -> Gaussian:
    """Return the mean of each class that has rows, and the covariance within classes over all rows, as whitening.

    A direction in which the features do not vary, up to rounding, has no say: the precision is Moore and Penrose's
    inverse.
    """
    found, place = labels.unique(return_inverse=True)
    of = torch.nn.functional.one_hot(place, len(found)).to(features)  # (m, k)
    means = of.T @ features / of.sum(0)[:, None]
    apart = features - means[place]
    variances, axes = torch.linalg.eigh(apart.T @ apart / len(features))
    varies = variances > variances.max() * len(variances) * torch.finfo(variances.dtype).eps
    return Gaussian(means, axes[:, varies] / variances[varies].sqrt())


def fit_vim(known: Outputs, weight: Tensor, bias: Tensor, principal: float) -> Vim:
    """Return ViM's origin, residual space and alpha.

        origin = -pinv(weight) bias,   residual: the eigenvectors of (x - origin)^T (x - origin) beyond the largest
        round(principal d),   alpha = mean largest logit / mean residual of the ID training images

    At least one direction is kept and one left. Where nothing is left outside (a mean residual of 0) alpha is 0, and
    the score is the energy.

    Source: Wang et al. 2022, https://arxiv.org/abs/2203.10807, section 4; its dimensions (1000 of 2048) are a share.
    """
    size = known.features.shape[1]
    origin = -torch.linalg.pinv(weight) @ bias
    apart = known.features - origin
    _, vectors = torch.linalg.eigh(apart.T @ apart / len(apart))  # the smallest eigenvalue first
    kept = min(max(round(principal * size), 1), size - 1)
    residual = vectors[:, : size - kept]
    outside = vim_residual(known.features, origin, residual).mean()
    alpha = known.logits.max(1).values.mean() / outside if outside > 0 else torch.zeros_like(outside)
    return Vim(origin, residual, alpha)
