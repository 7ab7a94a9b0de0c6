"""The `autoencoder` section of params.yaml."""

from typing import Self

from pydantic import model_validator

from pipeline.schema.section import Count, Positive, Section, Seed, Weight


class PretrainedParams(Section):
    """An autoencoder that exists already, in diffusers' folder layout."""

    source: str
    """A local folder, or an id on the Hugging Face hub."""
    subfolder: str | None
    """'vae' inside a whole pipeline; null where the folder is the autoencoder itself."""
    revision: str | None
    """Commit, tag or branch on the hub; pin a commit so that a run can be repeated."""


class TrainingParams(Section):
    """A small AutoencoderKL of Stable Diffusion's architecture, trained on the ID training images only."""

    seed: Seed
    channels: tuple[Count, Count, Count, Count]
    """Width of each resolution; four of them divide the side by 8, as Stable Diffusion does."""
    latent_channels: Count
    norm_groups: Count
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    kl_weight: Weight
    """Weight of the posterior's KL divergence per latent value, against the mean squared error per pixel value."""

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> Self:
        if any(width % self.norm_groups for width in self.channels):
            raise ValueError(f"norm_groups {self.norm_groups} does not divide every width of channels {self.channels}")
        return self


class AutoencoderParams(Section):
    """Which autoencoder makes the latents."""

    pretrained: PretrainedParams | None
    training: TrainingParams
