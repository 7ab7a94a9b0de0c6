"""Classification heads: features to the logits of a prediction, and to the logits that cross-entropy is trained on."""

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from pipeline.params.networks import (
    AdaCosParams,
    ArcFaceParams,
    CosFaceParams,
    HeadParams,
    LinearParams,
    LogitNormParams,
    SphereFaceParams,
)
from pipeline.runtime.errors import HeadError


class Head(Protocol):
    """The interface of every head; all heads are modules."""

    weight: Tensor
    """(k, d): the direction of each class in feature space."""

    def __call__(self, features: Tensor) -> Tensor:
        """Return the logits (n, k) of features (n, d), from which predictions and scores are computed."""
        ...

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (n, k) for cross-entropy, given the labels (n,): with the head's margin or norm."""
        ...


def build_head(params: HeadParams, features: int, classes: int) -> Head:
    """Return a head with fresh weights; raises HeadError when the head is undefined for so few classes."""
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
    """The linear head: logits = weight features + bias, also in training."""

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002  # the interface of all heads
        """Return the logits (n, k)."""
        logits: Tensor = self(features)
        return logits


class LogitNormHead(nn.Linear):
    """Linear logits that are trained at a constant norm, so that confidence does not grow without bound.

        training_logits_i = logits_i / (t ||logits_i||)

    t is the temperature. Predictions and scores use the unnormalised logits. A row of zeros stays zeros.

    Source: Wei et al. 2022, https://arxiv.org/abs/2205.09310, eq. 5 and 6.
    """

    def __init__(self, features: int, classes: int, temperature: float) -> None:
        super().__init__(features, classes)
        self.temperature = temperature

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002  # the interface of all heads
        """Return the logits (n, k), each row of norm 1 / temperature."""
        return normalize(self(features), dim=1) / self.temperature


class _AngularHead(nn.Module):
    """The base of heads that compare directions: one weight vector per class, normalised, and no bias."""

    weight: Tensor

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        nn.init.xavier_uniform_(self.weight)

    def cosines(self, features: Tensor) -> Tensor:
        """Return the cosine (n, k) of the angle between each row and each class; for a row of zeros it is 0."""
        return linear(normalize(features, dim=1), normalize(self.weight, dim=1))

    def label_mask(self, labels: Tensor) -> Tensor:
        """Return a mask (n, k) that is true at each row's label.

        Selection by a mask has a repeatable gradient on a GPU; indexing has none.
        """
        return labels[:, None] == torch.arange(len(self.weight), device=labels.device)


class SphereFaceHead(_AngularHead):
    """A-Softmax: the angle to the label's class is multiplied by `margin`.

        logit_ic = ||x_i|| cos theta_ic,   in training and for c = y_i:  ||x_i|| (a cos theta_ic + psi_ic) / (a + 1)
        psi_ic = (-1)^j cos(margin theta_ic) - 2 j,   j = floor(margin theta_ic / pi)
        a = max(5, 1000 / (1 + 0.12 step))

    theta_ic is the angle between features x_i and weight c; psi falls over the whole range of angles. margin is at
    least 1; at 1, training and prediction agree. The paper allows whole numbers only, this head any number. step counts
    the batches of `training_logits` in training mode and is saved with the weights.

    Source: Liu et al. 2017, https://arxiv.org/abs/1704.08063, eq. 6 and 7, which have a = 0. The annealing is that of
    the published code and is necessary: with a = 0 from the start, the features shrink to zero, where the loss is
    log k, and stay there.
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
        """Return the logits (n, k) with the margin at each row's label."""
        if self.training and len(features):
            self.step = self.step + 1
        plain = self(features)
        narrowed = _falling_cosine(self.margin * _angles(self.cosines(features)))
        annealing = (1000 / (1 + 0.12 * self.step.to(features.dtype))).clamp(min=5)
        with_margin = (annealing * plain + features.norm(dim=1, keepdim=True) * narrowed) / (annealing + 1)
        return torch.where(self.label_mask(labels), with_margin, plain)


class CosFaceHead(_AngularHead):
    """Large-margin cosine: `margin` is subtracted from the cosine to the label's class.

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
        """Return the logits (n, k) with the margin at each row's label."""
        cosines = self.cosines(features)
        return self.scale * torch.where(self.label_mask(labels), cosines - self.margin, cosines)


class ArcFaceHead(_AngularHead):
    """Additive angular margin: `margin` is added to the angle to the label's class.

        logit_ic = scale cos theta_ic,   in training and for c = y_i:  scale psi(theta_ic + margin)
        psi(angle) = cos(angle) up to pi, beyond it -2 - cos(angle)

    margin is in radians, below pi.

    Source: Deng et al. 2019, https://arxiv.org/abs/1801.07698, eq. 3. Differs where theta + margin exceeds pi: there
    eq. 3 would reward a larger angle, and the authors' code uses cos theta - margin sin(margin), which jumps. psi is
    the continuation of SphereFace, which does neither.
    """

    def __init__(self, features: int, classes: int, scale: float, margin: float) -> None:
        super().__init__(features, classes)
        self.scale, self.margin = scale, margin

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, k)."""
        return self.scale * self.cosines(features)

    def training_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (n, k) with the margin at each row's label."""
        cosines = self.cosines(features)
        with_margin = _falling_cosine(_angles(cosines) + self.margin)
        return self.scale * torch.where(self.label_mask(labels), with_margin, cosines)


class AdaCosHead(_AngularHead):
    """Scaled cosines whose scale adapts during training; there is no parameter to choose.

        logit_ic = scale cos theta_ic
        scale_0 = sqrt(2) log(k - 1)
        scale_t = log(B) / cos(min(pi / 4, median_i theta_iy))
        B = (1 / n) sum_i sum_{c != y_i} exp(scale_{t-1} cos theta_ic)

    The new scale is used in the step that computes it. It has no gradient and is saved with the weights. It changes
    only in `training_logits` in training mode, and not for an empty batch.

    Source: Zhang et al. 2019, https://arxiv.org/abs/1905.00292, eq. 15 to 17. Differs where the formula gives a scale
    that is not positive (every feature opposite to all other classes), which would reverse the loss. The previous scale
    is kept then.
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
        """Return the logits (n, k); in training mode the scale is adapted to this batch first."""
        cosines = self.cosines(features)
        if self.training and len(features):
            self.scale = self._adapted_scale(cosines.detach(), self.label_mask(labels))
        return self.scale * cosines

    def _adapted_scale(self, cosines: Tensor, label_mask: Tensor) -> Tensor:
        other_logits = (self.scale * cosines).masked_fill(label_mask, torch.finfo(cosines.dtype).min)
        log_average = other_logits.flatten().logsumexp(0) - math.log(len(cosines))
        angle = _angles((cosines * label_mask).sum(1)).quantile(0.5)
        scale = log_average / angle.clamp(max=math.pi / 4).cos()
        return torch.where(scale > 0, scale, self.scale)


def _angles(cosines: Tensor) -> Tensor:
    """Return the angles in radians; cosines are clipped, so that the gradient is finite at -1, at 1 and beyond."""
    limit = 1 - torch.finfo(cosines.dtype).eps
    return cosines.clamp(-limit, limit).acos()


def _falling_cosine(angles: Tensor) -> Tensor:
    """Return (-1)^j cos(angle) - 2 j, j = floor(angle / pi): a cosine that keeps falling beyond pi."""
    turns = (angles.detach() / math.pi).floor()
    return (1 - 2 * turns.remainder(2)) * angles.cos() - 2 * turns
