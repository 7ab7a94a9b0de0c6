"""The `encoder` section of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.params.encode import AugmentationParams
from pipeline.params.networks import NetworkParams
from pipeline.schema.section import Count, Name, Positive, Section, Seed, Weight

Width = Annotated[int, Field(ge=8, le=2**12, multiple_of=8)]
"""Channels of a convolution. In torch 2.13 the gradient of a strided one with fewer than 8, in the memory layout that
is fastest, writes beyond its memory."""
Widths = tuple[Width, Width, Width]
EncoderKind = Literal["trained", "supervised", "diffusers", "transformers", "onnx"]
Colours = tuple[float, float, float]
Deviations = tuple[Positive, Positive, Positive]


class TrainedParams(Section):
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


class SupervisedParams(Section):
    """A small residual classifier of the ID training pixels; the map in its middle is the latent."""

    seed: Seed
    widths: Widths
    """Channels of the three resolutions of its lower half; the latent has as many as the third."""
    network: NetworkParams
    """Its upper half, a network over latents; a teacher of the same architecture can start from it."""
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: Weight
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    """Share of each label that is spread over all classes (Szegedy et al. 2015)."""
    augmentation: AugmentationParams
    """Every image is another view in each epoch."""


class DiffusersParams(Section):
    """An autoencoder in diffusers' folder layout."""

    source: Name
    """A local folder, or an id on the Hugging Face hub."""
    subfolder: str | None
    """'vae' inside a whole pipeline; null where the folder is the autoencoder itself."""
    revision: str | None
    """Commit, tag or branch on the hub; pin a commit so that a run can be repeated."""
    variant: str | None
    """Such as 'fp16', where the weights are published in several; computed in float32 all the same."""


class TransformersParams(Section):
    """A vision backbone in transformers' folder layout: DINOv2, SigLIP, ViT, ConvNeXt, EfficientNet or ResNet."""

    source: Name
    """A local folder, or an id on the Hugging Face hub."""
    revision: str | None
    """Commit, tag or branch on the hub; pin a commit so that a run can be repeated."""
    layer: int | None
    """Index into the hidden states, whose map is the latent; null: the last, after the final normalisation."""


class OnnxParams(Section):
    """Any network in an ONNX file that holds its own weights."""

    file: Name
    output: Name
    """Name of the output that is the latent: (n, c, h, w), or (n, c)."""
    mean: Colours
    """Of each colour in 0..1, subtracted first."""
    std: Deviations
    """Of each colour in 0..1, divided by."""


ModelParams = TrainedParams | SupervisedParams | DiffusersParams | TransformersParams | OnnxParams


class EncoderParams(Section):
    """Which model makes the latents, and how far its maps are reduced."""

    kind: EncoderKind
    channels: Count | None
    """Principal channels of the maps that are kept; null: all channels as they are."""
    side: Count | None
    """Places a side that are kept, by averaging; null: all."""
    fitted_to: Annotated[int, Field(ge=1)]
    """ID training images, evenly drawn, to which the principal channels are fitted."""
    trained: TrainedParams
    supervised: SupervisedParams
    diffusers: DiffusersParams | None
    transformers: TransformersParams | None
    onnx: OnnxParams | None

    @model_validator(mode="after")
    def _has_the_section_of_its_kind(self) -> Self:
        if getattr(self, self.kind) is None:
            raise ValueError(f"kind is {self.kind!r}, but encoder.{self.kind} is null; say where the model is")
        return self

    def reduced(self, channels: int, side: int) -> tuple[int, int, int]:
        """Return the shape (c, h, w) of a latent whose map has so many channels, and so many places a side."""
        kept = min(self.side or side, side)
        return min(self.channels or channels, channels), kept, kept

    @property
    def chosen(self) -> ModelParams:
        """The section of the kind."""
        chosen: ModelParams = getattr(self, self.kind)
        return chosen
