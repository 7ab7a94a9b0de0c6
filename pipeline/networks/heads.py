"""Classification heads: from features to the logits of a prediction, and to those that cross-entropy trains on."""

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from pipeline.errors import HeadError
from pipeline.networks.params import (
    AdaCosParams,
    ArcFaceParams,
    CosFaceParams,
    HeadParams,
    LinearParams,
    LogitNormParams,
    SphereFaceParams,
)


class Head(Protocol):
    """What every head can do; all are modules."""

    weight: Tensor
    """(k, d): the direction of each class among the features."""

    def __call__(self, features: Tensor) -> Tensor:
        """Return the logits (n, k) of features (n, d): what predictions and scores are made of."""
        ...

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return what cross-entropy sees, (n, k), given the labels (n,): with the head's margin or norm."""
        ...


def build_head(params: HeadParams, features: int, classes: int) -> Head:
    """Return a head with fresh weights; raises HeadError where it makes no sense for that many classes."""
    match params:
        case LinearParams():
            return LinearHead(features, classes)
        case LogitNormParams():
            return LogitNormHead(features, classes, params.temperature)
        case SphereFaceParams():
            return SphereFaceHead(features, classes, params.margin)
        case CosFaceParams():
            return CosFaceHead(features, classes, params.scale, params.margin)
        case ArcFaceParams():
            return ArcFaceHead(features, classes, params.scale, params.margin)
        case AdaCosParams():
            return AdaCosHead(features, classes)


class LinearHead(nn.Linear):
    """The usual one: logits = weight features + bias, in training too."""

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002  # as every head
        """Return the logits (n, k)."""
        logits: Tensor = self(features)
        return logits


class LogitNormHead(nn.Linear):
    """Linear logits that are trained at a constant norm, so that confidence does not grow without end.

        training_logits_i = logits_i / (t ||logits_i||)

    t is the temperature. Predictions and scores use the logits as they are. A row of zeros stays zeros.

    Source: Wei et al. 2022, https://arxiv.org/abs/2205.09310, eq. 5 and 6.
    """

    def __init__(self, features: int, classes: int, temperature: float) -> None:
        super().__init__(features, classes)
        self.temperature = temperature

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002  # as every head
        """Return the logits (n, k), each row of norm 1 / temperature."""
        return normalize(self(features), dim=1) / self.temperature


class _AngularHead(nn.Module):
    """Rows of weights that only have a direction, and no bias."""

    weight: Tensor

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        nn.init.xavier_uniform_(self.weight)

    def cosines(self, features: Tensor) -> Tensor:
        """Return the cosine (n, k) of each row's angle to each class; of a row of zeros it is 0."""
        return linear(normalize(features, dim=1), normalize(self.weight, dim=1))

    def own_class(self, labels: Tensor) -> Tensor:
        """Return a mask (n, k); unlike an index it has a repeatable gradient on a GPU."""
        return labels[:, None] == torch.arange(len(self.weight), device=labels.device)


class SphereFaceHead(_AngularHead):
    """A-Softmax: the angle to the own class counts `margin` times.

        logit_ic = ||x_i|| cos theta_ic,   in training and for c = y_i:  ||x_i|| (a cos theta_ic + psi_ic) / (a + 1)
        psi_ic = (-1)^j cos(margin theta_ic) - 2 j,   j = floor(margin theta_ic / pi)
        a = max(5, 1000 / (1 + 0.12 step))

    theta_ic is the angle of features x_i and weight c; psi falls all the way. margin is at least 1, where training and
    prediction agree; the paper has whole numbers, here any will do. step counts the batches of `training_logits` in
    training mode and is saved with the weights.

    Source: Liu et al. 2017, https://arxiv.org/abs/1704.08063, eq. 6 and 7, which have a = 0; the annealing is that of
    its code. It has to be: with a = 0 from the start the features shrink to zero, where the loss is log k, and stay.
    """

    step: Tensor

    def __init__(self, features: int, classes: int, margin: float) -> None:
        super().__init__(features, classes)
        self.margin = margin
        self.register_buffer("step", torch.tensor(0))

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, k)."""
        return linear(features, normalize(self.weight, dim=1))

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (n, k) with the margin at each row's own class."""
        if self.training and len(features):
            self.step = self.step + 1
        plain = self(features)
        narrowed = _falling_cosine(self.margin * _angles(self.cosines(features)))
        annealing = (1000 / (1 + 0.12 * self.step.to(features.dtype))).clamp(min=5)
        own = (annealing * plain + features.norm(dim=1, keepdim=True) * narrowed) / (annealing + 1)
        return torch.where(self.own_class(labels), own, plain)


class CosFaceHead(_AngularHead):
    """Large-margin cosine: the cosine to the own class counts `margin` less.

        logit_ic = scale cos theta_ic,   in training and for c = y_i:  scale (cos theta_ic - margin)

    Source: Wang et al. 2018, https://arxiv.org/abs/1801.09414, eq. 4.
    """

    def __init__(self, features: int, classes: int, scale: float, margin: float) -> None:
        super().__init__(features, classes)
        self.scale, self.margin = scale, margin

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, k)."""
        return self.scale * self.cosines(features)

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (n, k) with the margin at each row's own class."""
        cosines = self.cosines(features)
        return self.scale * torch.where(self.own_class(labels), cosines - self.margin, cosines)


class ArcFaceHead(_AngularHead):
    """Additive angular margin: the angle to the own class counts `margin` more.

        logit_ic = scale cos theta_ic,   in training and for c = y_i:  scale psi(theta_ic + margin)
        psi(angle) = cos(angle) up to pi, beyond it -2 - cos(angle)

    margin is in radians, below pi.

    Source: Deng et al. 2019, https://arxiv.org/abs/1801.07698, eq. 3, which would reward a larger angle once theta +
    margin exceeds pi. There the authors' code goes on with cos theta - margin sin(margin), which jumps; psi is
    SphereFace's continuation, which has neither flaw.
    """

    def __init__(self, features: int, classes: int, scale: float, margin: float) -> None:
        super().__init__(features, classes)
        self.scale, self.margin = scale, margin

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, k)."""
        return self.scale * self.cosines(features)

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (n, k) with the margin at each row's own class."""
        cosines = self.cosines(features)
        own = _falling_cosine(_angles(cosines) + self.margin)
        return self.scale * torch.where(self.own_class(labels), own, cosines)


class AdaCosHead(_AngularHead):
    """Cosines at a scale that follows the training, without a parameter to choose.

        logit_ic = scale cos theta_ic
        scale_0 = sqrt(2) log(k - 1)
        scale_t = log(B) / cos(min(pi / 4, median_i theta_iy))
        B = (1 / n) sum_i sum_{c != y_i} exp(scale_{t-1} cos theta_ic)

    The new scale is used in the step that found it; it has no gradient and is saved with the weights. It changes in
    `training_logits` in training mode only, and not for an empty batch.

    Source: Zhang et al. 2019, https://arxiv.org/abs/1905.00292, eq. 15 to 17. Differs where the formula gives a scale
    that is not positive (every feature opposite to all other classes), which would turn the loss round: the old one
    stays.
    """

    scale: Tensor

    def __init__(self, features: int, classes: int) -> None:
        if classes < 3:
            raise HeadError("adacos", classes, 3)
        super().__init__(features, classes)
        self.register_buffer("scale", torch.tensor(math.sqrt(2) * math.log(classes - 1)))

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, k)."""
        return self.scale * self.cosines(features)

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (n, k), in training mode at the scale that this batch asks for."""
        cosines = self.cosines(features)
        if self.training and len(features):
            self.scale = self._adapted(cosines.detach(), self.own_class(labels))
        return self.scale * cosines

    def _adapted(self, cosines: Tensor, own: Tensor) -> Tensor:
        others = (self.scale * cosines).masked_fill(own, torch.finfo(cosines.dtype).min)
        log_average = others.flatten().logsumexp(0) - math.log(len(cosines))
        angle = _angles((cosines * own).sum(1)).quantile(0.5)
        found = log_average / angle.clamp(max=math.pi / 4).cos()
        return torch.where(found > 0, found, self.scale)


def _angles(cosines: Tensor) -> Tensor:
    """Return the angles in radians, their gradient finite at cosines of -1 and 1 and where rounding went beyond."""
    limit = 1 - torch.finfo(cosines.dtype).eps
    return cosines.clamp(-limit, limit).acos()


def _falling_cosine(angles: Tensor) -> Tensor:
    """Return the cosine, continued beyond pi so that it falls on: (-1)^j cos(angle) - 2 j, j = floor(angle / pi)."""
    turns = (angles.detach() / math.pi).floor()
    return (1 - 2 * turns.remainder(2)) * angles.cos() - 2 * turns
