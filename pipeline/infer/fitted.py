"""Every post-hoc score of one network, in two steps: what it learns from ID training images, and the score itself."""

from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.infer.params import SCORES, InferParams, ScoreName
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
from pipeline.neighbours import Bank, even_steps
from pipeline.networks.folder import predict
from pipeline.networks.resnet import LatentResNet

Learnt = dict[str, Tensor]
LEARNT: dict[ScoreName, tuple[str, ...]] = {
    "msp": (),
    "max_logit": (),
    "energy": (),
    "gen": (),
    "cosine": ("class_weights",),  # (k, d)
    "knn": ("bank",),  # (m, d), each row of unit length
    "mahalanobis": ("class_means", "class_whitening"),  # (k, d), (d, r)
    "relative_mahalanobis": ("class_means", "class_whitening", "mean", "whitening"),  # and (1, d), (d, r)
    "mahalanobis_pp": ("unit_means", "unit_whitening"),  # (k, d), (d, r), of features of unit length
    "vim": ("vim_origin", "vim_residual", "vim_alpha"),  # (d,), (d, r), ()
    "combined": ("unit_means", "unit_whitening", "kept", "spreads"),  # as Mahalanobis++, (p, d) of unit length, (3,)
}
"""What each score learns from the ID training images, or from the head; all else it needs are the outputs."""


class Outputs(NamedTuple):
    """What a network says of images, in float64, where scores are computed from it."""

    logits: Tensor  # (n, k)
    features: Tensor  # (n, d)

    def to(self, device: torch.device) -> Self:
        """Return the same on another device."""
        return type(self)(self.logits.to(device), self.features.to(device))


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
    """Return the one feature extraction that every score is computed from: on the network's GPU, else on the CPU."""
    logits, features = predict(network, latents)
    return Outputs(logits.double(), features.double()).to(scoring_device(next(network.parameters()).device))


def scoring_device(device: torch.device) -> torch.device:
    """Return where scores of a network on `device` are computed: a CUDA GPU has float64, other accelerators may not."""
    return device if device.type == "cuda" else torch.device("cpu")


class FittedScores:
    """Post-hoc scores of one network, ready to be computed: nothing of the ID training images is asked for any more.

    names: which scores; learnt: the float64 tensors they need, by the names in `LEARNT`, on the device of the outputs
    that are to be scored.
    """

    def __init__(self, names: tuple[ScoreName, ...], learnt: Learnt, params: InferParams) -> None:
        self.names, self.learnt, self.params = names, learnt, params
        self._bank = Bank(learnt["bank"]) if "knn" in names else None

    def __call__(self, of: Outputs) -> dict[ScoreName, Tensor]:
        """Return every score, each (n,) float64 on the CPU, larger = more outlier."""
        return {name: self._score(name, of).cpu() for name in self.names}

    def to(self, device: torch.device) -> Self:
        """Return the same scores of outputs on another device."""
        if all(tensor.device == device for tensor in self.learnt.values()):
            return self
        return type(self)(self.names, {name: tensor.to(device) for name, tensor in self.learnt.items()}, self.params)

    def _score(self, name: ScoreName, of: Outputs) -> Tensor:
        if name == "knn" and self._bank is not None:
            return knn_score(of.features, self._bank, self.params.knn_neighbours)
        return _SCORES[name](of, self.learnt, self.params)


def fit_scores(
    network: LatentResNet,
    known: Outputs,  # of the ID training images
    labels: Tensor,  # (m,) of these
    params: InferParams,
    names: tuple[ScoreName, ...] = SCORES,
) -> FittedScores:
    """Learn what `names` need, and no more. `knn` cannot be computed of fewer images than `knn_neighbours`."""
    wanted = {tensor for name in names for tensor in LEARNT[name]}
    labels = labels.to(known.features.device)
    weight, bias = _head(network, known.features.device)
    learnt: Learnt = {}
    if "class_weights" in wanted:
        learnt["class_weights"] = weight
    if "bank" in wanted:
        learnt["bank"] = normalize(known.features, dim=1)
    if "class_means" in wanted:
        learnt["class_means"], learnt["class_whitening"] = class_gaussian(known.features, labels)
    if "mean" in wanted:
        learnt["mean"], learnt["whitening"] = class_gaussian(known.features, torch.zeros_like(labels))
    if "unit_means" in wanted:
        unit, shrinkage = normalize(known.features, dim=1), params.mahalanobis_pp_shrinkage
        learnt["unit_means"], learnt["unit_whitening"] = class_gaussian(unit, labels, shrinkage=shrinkage)
    if "vim_origin" in wanted:
        vim = fit_vim(known, weight, bias, params.vim_principal)
        learnt["vim_origin"], learnt["vim_residual"], learnt["vim_alpha"] = vim
    if "kept" in wanted:
        kept = evenly_spaced(labels, params.combined.images_per_class)
        learnt["kept"] = normalize(known.features[kept], dim=1)
        learnt["spreads"] = _spreads(known, kept, learnt, params)
    return FittedScores(names, learnt, params)


def _head(network: LatentResNet, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the head's weight (k, d) and bias (k,), in float64."""
    weight = network.head.weight.detach().to(device, torch.float64)
    bias = getattr(network.head, "bias", None)  # angular heads have none
    return weight, weight.new_zeros(len(weight)) if bias is None else bias.detach().to(device, torch.float64)


def _mahalanobis(of: Outputs, learnt: Learnt) -> Tensor:
    """Return the squared distance to the nearest class mean.

    Source: Lee et al. 2018, https://arxiv.org/abs/1807.03888, eq. 2.
    """
    return mahalanobis_distances(of.features, learnt["class_means"], learnt["class_whitening"]).min(1).values


def _relative_mahalanobis(of: Outputs, learnt: Learnt) -> Tensor:
    """Return that less the distance to the mean of all classes, with the covariance of all.

    Source: Ren et al. 2021, https://arxiv.org/abs/2106.09022, eq. 2.
    """
    background = mahalanobis_distances(of.features, learnt["mean"], learnt["whitening"])[:, 0]
    return _mahalanobis(of, learnt) - background


def _mahalanobis_pp(of: Outputs, learnt: Learnt) -> Tensor:
    """Return the squared distance to the nearest class mean, of features scaled to unit length.

    Source: Mueller and Hein 2025, https://arxiv.org/abs/2505.18032; here its covariance may be shrunk.
    """
    unit = normalize(of.features, dim=1)
    return mahalanobis_distances(unit, learnt["unit_means"], learnt["unit_whitening"]).min(1).values


def _gen(of: Outputs, params: InferParams) -> Tensor:
    return gen_score(of.logits, gamma=params.gen.gamma, classes=params.gen.classes)


def _vim(of: Outputs, learnt: Learnt) -> Tensor:
    """Return alpha times the residual, plus the energy.

    Source: Wang et al. 2022, https://arxiv.org/abs/2203.10807, eq. 7, up to a monotone map.
    """
    residual = vim_residual(of.features, learnt["vim_origin"], learnt["vim_residual"])
    return learnt["vim_alpha"] * residual + energy_score(of.logits)


def _combined(of: Outputs, learnt: Learnt, params: InferParams) -> Tensor:
    """Return the sum of three scores, each in units of its spread over the ID training images.

    Far from every image of a class, far from what its images are like on the whole, of no class by the logits: some
    outliers are only the one or the other. A score without spread has no say.
    """
    weights = learnt["spreads"].new_tensor([1.0, 1.0, params.combined.gen_weight])
    return torch.where(learnt["spreads"] > 0, weights / learnt["spreads"], 0.0) @ _parts(of, learnt, params)


def _spreads(
    known: Outputs,
    kept: Tensor,  # numbers of the images that are kept
    learnt: Learnt,
    params: InferParams,
) -> Tensor:  # (3,)
    """Return the spread of each part over the ID training images, of which none is a neighbour of itself."""
    parts = _parts(known, learnt, params)
    one_more = min(params.combined.neighbours + 1, len(kept))
    parts[0, kept] = knn_score(known.features[kept], learnt["kept"], one_more)
    return torch.where(parts.amax(1) > parts.amin(1), parts.std(1, correction=0), 0.0)


def _parts(of: Outputs, learnt: Learnt, params: InferParams) -> Tensor:  # (3, n)
    """Return distances to kept images and to class means, and GEN."""
    neighbours = min(params.combined.neighbours, len(learnt["kept"]))
    near = knn_score(of.features, learnt["kept"], neighbours)
    return torch.stack([near, _mahalanobis_pp(of, learnt), _gen(of, params)])


def evenly_spaced(
    labels: Tensor,  # (m,)
    most: int,
) -> Tensor:  # (p,) int64, ascending
    """Return rows of every class, at most so many of each, from the first to the last of its rows at even steps."""
    picked = []
    for label in labels.unique():
        rows = torch.nonzero(labels == label)[:, 0]
        picked.append(rows[even_steps(len(rows), most, rows.device)])
    return torch.cat(picked).sort().values


_SCORES: dict[ScoreName, Callable[[Outputs, Learnt, InferParams], Tensor]] = {
    "msp": lambda of, _, __: msp_score(of.logits),
    "max_logit": lambda of, _, __: max_logit_score(of.logits),
    "energy": lambda of, _, __: energy_score(of.logits),
    "gen": lambda of, _, params: _gen(of, params),
    "cosine": lambda of, learnt, _: cosine_score(of.features, learnt["class_weights"]),
    "mahalanobis": lambda of, learnt, _: _mahalanobis(of, learnt),
    "relative_mahalanobis": lambda of, learnt, _: _relative_mahalanobis(of, learnt),
    "mahalanobis_pp": lambda of, learnt, _: _mahalanobis_pp(of, learnt),
    "vim": lambda of, learnt, _: _vim(of, learnt),
    "combined": _combined,
}


def class_gaussian(
    features: Tensor,  # (m, d)
    labels: Tensor,  # (m,)
    *,
    shrinkage: float = 0.0,
) -> Gaussian:
    """Return the mean of each class that has rows, and the covariance within classes over all rows, as whitening.

    A direction in which the features do not vary, up to rounding, has no say: the precision is Moore and Penrose's
    inverse. With shrinkage a the covariance C is (1 - a) C + a trace(C) / d times the identity: in directions in which
    ID features hardly vary a little is no longer everything.

    Source of the shrinkage: Friedman 1989, https://doi.org/10.1080/01621459.1989.10478752.
    """
    found, place = labels.unique(return_inverse=True)
    of = torch.nn.functional.one_hot(place, len(found)).to(features)  # (m, k)
    means = of.T @ features / of.sum(0)[:, None]
    apart = features - means[place]
    variances, axes = torch.linalg.eigh(apart.T @ apart / len(features))
    variances = torch.lerp(variances, variances.mean().expand_as(variances), shrinkage)
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
