"""The architecture of the teacher and of the detector, which is the same."""

from typing import Annotated

from pydantic import Field

from pipeline.config import Count, Positive, Section, Weight


class NetworkParams(Section):
    """A residual network over latents."""

    width: Annotated[int, Field(ge=8, multiple_of=8)]
    """Channels of the first stage; every further stage doubles them and halves the sides."""
    blocks: tuple[Count, ...] = Field(min_length=1)
    """Residual blocks of each stage."""


class OptimiserParams(Section):
    """Stochastic gradient descent with Nesterov momentum, its rate falling along a cosine to zero."""

    epochs: Count
    batch_size: Count
    """ID rows per step."""
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Weight
