"""The architecture of the teacher and of the detector, which is the same."""

import math
from typing import Annotated, Literal

from pydantic import Field

from pipeline.schema.section import Count, Positive, Section, Weight


class NetworkParams(Section):
    """A residual network over latents."""

    width: Annotated[int, Field(ge=8, le=8192, multiple_of=8)]
    """Channels of the first stage; every further stage doubles them and halves the sides."""
    blocks: tuple[Annotated[Count, Field(le=64)], ...] = Field(min_length=1, max_length=8)
    """Residual blocks of each stage."""
    latent_mean: bool
    """Whether the mean over places of the latent, not centred and Pareto-scaled, stands among the features as well."""


class OptimiserParams(Section):
    """Stochastic gradient descent with Nesterov momentum, its rate falling along a cosine to zero."""

    epochs: Count
    batch_size: Count
    """ID rows per step."""
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Weight


class LinearParams(Section):
    """Weights and a bias."""

    kind: Literal["linear"]


class LogitNormParams(Section):
    """Linear, trained at a constant norm of the logits."""

    kind: Literal["logit_norm"]
    temperature: Positive
    """The norm is its inverse, so a small one allows confident predictions."""


class SphereFaceParams(Section):
    """Angles to the own class are multiplied."""

    kind: Literal["sphereface"]
    margin: Annotated[float, Field(ge=1)]
    """The factor; at 1 there is no margin."""


class CosFaceParams(Section):
    """Cosines to the own class are lowered."""

    kind: Literal["cosface"]
    scale: Positive
    margin: Weight
    """What is taken off the cosine."""


class ArcFaceParams(Section):
    """Angles to the own class are enlarged."""

    kind: Literal["arcface"]
    scale: Positive
    margin: Annotated[float, Field(ge=0, lt=math.pi)]
    """What is added to the angle, in radians; pi would turn a class round."""


class AdaCosParams(Section):
    """Cosines at a scale that adapts itself; for three classes or more."""

    kind: Literal["adacos"]


HeadParams = Annotated[
    LinearParams | LogitNormParams | SphereFaceParams | CosFaceParams | ArcFaceParams | AdaCosParams,
    Field(discriminator="kind"),
]
