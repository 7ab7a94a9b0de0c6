"""What a detector minimises in one step: cross-entropy, also of mixed rows, outlier exposure, MICL and others."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from pipeline.losses.club import (
    LOG_VARIANCE_BOUND,
    OAL_LOG_VARIANCE_BOUND,
    Club,
    GaussianPosterior,
    random_pair_club,
)
from pipeline.losses.distillation import feature_distillation, logit_distillation
from pipeline.losses.energy_bound import energy_bound
from pipeline.losses.info_nce import info_nce
from pipeline.losses.outlier_exposure import outlier_exposure
from pipeline.losses.reconstruction import reconstruction
from pipeline.networks.decoder import Decoder
from pipeline.networks.gradients import Losses
from pipeline.networks.outputs import TeacherOutputs
from pipeline.networks.resnet import Prediction
from pipeline.networks.translator import Translator
from pipeline.train.params import TrainParams


class Seen(NamedTuple):
    """What the network and the teacher say of one batch."""

    values: Tensor  # (n, c, h, w) n ID rows
    known: Prediction  # of these
    margin_logits: Tensor  # (n, k) those that the head trains on
    labels: Tensor  # (n,)
    mixed_logits: Tensor  # (n or none, k) of ID rows that were mixed with each other
    mixed_targets: Tensor  # (n or none, k) their labels, mixed alike
    outliers: Prediction  # of m outliers, through the same network
    parents: Tensor  # (p, d) features of the ID rows that p of the outliers were made of
    children: Tensor  # (p, d) features of these outliers
    teacher: TeacherOutputs  # on the same n ID rows


class Objective(nn.Module):
    """The weighted mean of each loss that has a weight.

        cross_entropy(margin logits) + w cross_entropy(mixed logits, mixed labels)
        + w KL(u || p_outlier) + w (hinge_ID + hinge_outlier) + w (decoder(features) - latent)^2
        + w InfoNCE(ID, outliers as negatives) + w CLUB(parent, outlier) + w paper
        + w t^2 KL(q || p) + w t^2 KL(translated teacher features || features)

    each with the weight w and temperature t of its own section in the parameters. Translator and decoder are parts of
    this module and learn along; the posteriors of CLUB are not, since they are fitted by likelihood alone.

    Source: the parts of OAL's loss, https://arxiv.org/abs/2406.16525, with outliers that pass through the network and
    with a MICL whose gradient is not zero in expectation.
    """

    def __init__(
        self,
        params: TrainParams,
        features: int,
        teacher_features: int,
        shape: tuple[int, int, int],  # of a latent
        device: torch.device,
    ) -> None:
        super().__init__()
        self.params = params
        micl = params.micl
        if params.reconstruction.weight:
            self.decoder = Decoder(features, params.reconstruction.hidden, shape).to(device)
        if params.distillation.features.weight:
            self.translator = Translator(teacher_features, features).to(device)
        if micl.club.weight:
            posterior = GaussianPosterior(features, features, hidden=micl.club.hidden, bound=LOG_VARIANCE_BOUND)
            self.club = Club(posterior.to(device), learning_rate=micl.club.learning_rate, steps=micl.club.steps)
        if micl.paper.weight:
            posterior = GaussianPosterior(features, features, hidden=micl.paper.hidden, bound=OAL_LOG_VARIANCE_BOUND)
            self.never_fitted = (posterior.to(device),)  # in a tuple: no part of this module, so never optimised

    def forward(self, seen: Seen) -> Losses:
        """Return the loss of each kind; their sum is minimised."""
        losses = {"cross_entropy": cross_entropy(seen.margin_logits, seen.labels)}
        if self.params.mixing.weight:
            losses["mixing"] = self.params.mixing.weight * cross_entropy(seen.mixed_logits, seen.mixed_targets)
        if self.params.reconstruction.weight:
            missed = reconstruction(self.decoder(seen.known.features), seen.values)
            losses["reconstruction"] = self.params.reconstruction.weight * missed.mean()
        return losses | self._exposure(seen) | self._micl(seen) | self._distillation(seen)

    def _exposure(self, seen: Seen) -> Losses:
        exposure, energy = self.params.outlier_exposure, self.params.energy_bound
        losses = {}
        if exposure.weight:
            losses["outlier_exposure"] = exposure.weight * outlier_exposure(seen.outliers.logits).mean()
        if energy.weight:
            bounds = {"known_energy": energy.known_energy, "outlier_energy": energy.outlier_energy}
            bound = energy_bound(seen.known.logits, seen.outliers.logits, **bounds)
            losses["energy_bound"] = energy.weight * (bound.known.mean() + bound.outliers.mean())
        return losses

    def _micl(self, seen: Seen) -> Losses:
        micl = self.params.micl
        losses = {}
        if micl.info_nce.weight:
            temperature = micl.info_nce.temperature
            contrast = info_nce(seen.known.features, seen.labels, seen.outliers.features, temperature=temperature)
            losses["info_nce"] = micl.info_nce.weight * contrast.mean()
        if micl.club.weight:
            parents, children = _at_common_length(seen.parents), _at_common_length(seen.children)
            self.club.fit(parents, children)
            told = self.club(parents, children)
            losses["club"] = micl.club.weight * told.sum() / max(1, len(told))
        if micl.paper.weight:
            pairs = random_pair_club(seen.known.features, seen.outliers.features, *self.never_fitted)
            losses["paper"] = micl.paper.weight * pairs.mean()
        return losses

    def _distillation(self, seen: Seen) -> Losses:
        logits, features = self.params.distillation.logits, self.params.distillation.features
        losses = {}
        if logits.weight:
            kept = logit_distillation(seen.known.logits, seen.teacher.logits, temperature=logits.temperature)
            losses["logit_distillation"] = logits.weight * kept.mean()
        if features.weight:
            translated = self.translator(seen.teacher.features)
            kept = feature_distillation(seen.known.features, translated, temperature=features.temperature)
            losses["feature_distillation"] = features.weight * kept.mean()
        return losses


def _at_common_length(features: Tensor) -> Tensor:
    """Return features (n, d) at length sqrt(d), a mean square of 1: nothing is to be gained by shrinking them."""
    return math.sqrt(features.shape[1]) * normalize(features, dim=1)
