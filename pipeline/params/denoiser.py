"""The `denoiser` section of params.yaml."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.schema.section import Count, Fraction, Positive, Section, Seed


class DenoiserParams(Section):
    """A diffusers UNet2DModel with class embeddings and how it is trained."""

    seed: Seed
    channels: tuple[Annotated[int, Field(ge=8, multiple_of=8)], ...] = Field(min_length=1)
    """Width of each resolution; every further one halves the sides."""
    attention: tuple[bool, ...]
    """Whether each resolution has self-attention; the innermost block always has."""
    layers_per_block: Count
    norm_groups: Count
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    """Peak: it rises over the first twentieth of the steps and falls along a cosine."""
    ema_decay: Fraction
    """Of the average over steps that the published weights are."""
    class_dropout: Annotated[float, Field(ge=0, lt=1)]
    """Share of rows trained without their class, which classifier-free guidance needs."""
    noise_levels: Annotated[int, Field(ge=10)]
    """Of the diffusion in training; sampling takes fewer steps."""

    @model_validator(mode="after")
    def _widths_fit(self) -> Self:
        if len(self.attention) != len(self.channels):
            raise ValueError(f"attention has {len(self.attention)} values for {len(self.channels)} channels")
        if any(width % self.norm_groups for width in self.channels):
            raise ValueError(f"norm_groups {self.norm_groups} does not divide every width of channels {self.channels}")
        return self
