"""The objective of a detector: cross-entropy, also of mixed rows, outlier exposure, MICL and other losses."""

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
from pipeline.networks.outputs import TeacherOutputs
from pipeline.networks.resnet import Prediction
from pipeline.networks.translator import Translator
from pipeline.params.train import TrainParams
from pipeline.training.gradients import Losses


class BatchOutputs(NamedTuple):
    """The ID rows of one batch and the outputs of the network and the teacher."""

    id_latents: Tensor  # (n, c, h, w) n ID rows
    id_rows: Prediction  # of these rows
    margin_logits: Tensor  # (n, k) the head's training logits of these rows
    labels: Tensor  # (n,)
    mixed_logits: Tensor  # (n or 0, k) of ID rows that were mixed with each other
    mixed_targets: Tensor  # (n or 0, k) their labels, mixed in the same shares
    outliers: Prediction  # of m outliers, from the same network
    outlier_targets: Tensor  # (m, k) what should be predicted for them
    parent_features: Tensor  # (p, d) of the ID rows from which p of the outliers were made
    child_features: Tensor  # (p, d) of these outliers
    teacher: TeacherOutputs  # of the same n ID rows


class Objective(nn.Module):
    """Computes the weighted mean of each loss whose weight is not 0.

        cross_entropy(margin logits) + w cross_entropy(mixed logits, mixed labels)
        + w KL(y || p_outlier) + w (hinge_ID + hinge_outlier) + w (decoder(features) - latent)^2
        + w InfoNCE(ID, outliers as negatives) + w CLUB(parent, outlier) + w paper
        + w t^2 KL(q || p) + w t^2 KL(translated teacher features || features)

    The weight w and temperature t of each loss are in its section of the parameters; the target y of an outlier comes
    from `pipeline.training.outlier_targets`. Translator and decoder are parts
    of this module and are trained with the network. The posterior of CLUB is no part: only its likelihood fits it.

    Source: the parts of the loss of OAL, https://arxiv.org/abs/2406.16525. Differs in that outliers pass through the
    network, and that the gradient of MICL is not zero in expectation.
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
            self.never_fitted = (posterior.to(device),)  # a tuple hides it from this module, so it is never optimised

    def forward(self, outputs: BatchOutputs) -> Losses:
        """Return the weighted losses by name; their sum is minimised."""
        losses = {"cross_entropy": cross_entropy(outputs.margin_logits, outputs.labels)}
        if self.params.mixing.weight:
            losses["mixing"] = self.params.mixing.weight * cross_entropy(outputs.mixed_logits, outputs.mixed_targets)
        if self.params.reconstruction.weight:
            errors = reconstruction(self.decoder(outputs.id_rows.features), outputs.id_latents)
            losses["reconstruction"] = self.params.reconstruction.weight * errors.mean()
        return losses | self._exposure(outputs) | self._micl(outputs) | self._distillation(outputs)

    def _exposure(self, outputs: BatchOutputs) -> Losses:
        exposure, energy = self.params.outlier_exposure, self.params.energy_bound
        losses = {}
        if exposure.weight:
            divergence = outlier_exposure(outputs.outliers.logits, outputs.outlier_targets)
            losses["outlier_exposure"] = exposure.weight * divergence.mean()
        if energy.weight:
            bounds = {"id_energy": energy.id_energy, "outlier_energy": energy.outlier_energy}
            bound = energy_bound(outputs.id_rows.logits, outputs.outliers.logits, **bounds)
            losses["energy_bound"] = energy.weight * (bound.id_rows.mean() + bound.outliers.mean())
        return losses

    def _micl(self, outputs: BatchOutputs) -> Losses:
        micl = self.params.micl
        losses = {}
        if micl.info_nce.weight:
            temperature = micl.info_nce.temperature
            id_features, outlier_features = outputs.id_rows.features, outputs.outliers.features
            contrast = info_nce(id_features, outputs.labels, outlier_features, temperature=temperature)
            losses["info_nce"] = micl.info_nce.weight * contrast.mean()
        if micl.club.weight:
            parents, children = _at_common_length(outputs.parent_features), _at_common_length(outputs.child_features)
            self.club.fit(parents, children)
            bounds = self.club(parents, children)
            losses["club"] = micl.club.weight * bounds.sum() / max(1, len(bounds))
        if micl.paper.weight:
            pairs = random_pair_club(outputs.id_rows.features, outputs.outliers.features, *self.never_fitted)
            losses["paper"] = micl.paper.weight * pairs.mean()
        return losses

    def _distillation(self, outputs: BatchOutputs) -> Losses:
        logits, features = self.params.distillation.logits, self.params.distillation.features
        losses = {}
        if logits.weight:
            divergence = logit_distillation(
                outputs.id_rows.logits, outputs.teacher.logits, temperature=logits.temperature
            )
            losses["logit_distillation"] = logits.weight * divergence.mean()
        if features.weight:
            translated = self.translator(outputs.teacher.features)
            divergence = feature_distillation(outputs.id_rows.features, translated, temperature=features.temperature)
            losses["feature_distillation"] = features.weight * divergence.mean()
        return losses


def _at_common_length(features: Tensor) -> Tensor:
    """Return features (n, d) scaled to length sqrt(d), a mean square of 1, so that shrinking them lowers no loss."""
    return math.sqrt(features.shape[1]) * normalize(features, dim=1)
