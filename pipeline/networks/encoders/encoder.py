"""The encoder of a run: a model, the reduction of its maps, and the folder that holds both.

encoder.json             what the model's files do not say; written last
reduction.safetensors    mean and principal channels, where maps are reduced
model/                   the model's files, in the layout of its library
"""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder, DiffusersSettings
from pipeline.networks.encoders.model import EncoderModel
from pipeline.networks.encoders.onnx_network import OnnxNetwork, OnnxSettings
from pipeline.networks.encoders.pixel_classifier import SupervisedEncoder, SupervisedSettings
from pipeline.networks.encoders.reduction import Projection, Reduction
from pipeline.networks.encoders.vision_backbone import BackboneSettings, VisionBackbone
from pipeline.networks.fitting import require_room
from pipeline.runtime.errors import ModelError, PipelineError, reason
from pipeline.runtime.files import folder_digest, read_description, write_json
from pipeline.schema.section import Count

CARD, MODEL = "encoder.json", "model"
Shape = tuple[Count, Count, Count]
"""Channels, height and width of a latent."""
MOST_VALUES = 2**26
"""Most values of one latent, 128 MiB in float16; more is a mistake."""
Settings = Annotated[
    DiffusersSettings | BackboneSettings | OnnxSettings | SupervisedSettings, Field(discriminator="kind")
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ReductionCard(_Frozen):
    """How far maps are reduced."""

    side: Annotated[int, Field(ge=1, le=1024)]
    pools: bool
    channels: Annotated[int, Field(ge=1, le=2**20)] | None
    """Principal channels that are kept; None: all channels, as they are."""
    variance: Annotated[float, Field(ge=0, le=1)]
    """Share of the maps' variance that is kept."""


class EncoderCard(_Frozen):
    """The content of encoder.json."""

    format: Literal["latent-outliers-encoder/2"] = "latent-outliers-encoder/2"
    model: Settings
    reduction: ReductionCard | None
    image_size: Annotated[int, Field(ge=1, le=2**14)]
    """Side in pixels of the images that it encodes."""
    shape: Shape
    """Of the latents of such images."""


class Encoder:
    """A model that turns images into latents, and the reduction of what it returns."""

    def __init__(self, model: EncoderModel, reduction: Reduction | None = None) -> None:
        self.model, self.reduction = model, reduction

    @property
    def scaling_factor(self) -> float:
        """Factor on the latents by convention of the model's authors; 1 where they have none."""
        return self.model.scaling_factor

    @property
    def can_decode(self) -> bool:
        """Whether latents can be decoded: by an autoencoder whose maps were not pooled."""
        return self.model.can_decode and not (self.reduction and self.reduction.pools)

    def encode(
        self,
        images: Tensor,  # (n, 3, s, s) in -1..1
    ) -> Tensor:  # (n, c, h, w)
        """Return the latents of images."""
        maps = self.model.encode(images)
        return maps if self.reduction is None else self.reduction(maps)

    def decode(
        self,
        latents: Tensor,  # (n, c, h, w), as `encode` returns them
    ) -> Tensor:  # (n, 3, s, s) in -1..1
        """Return the images of latents. They are for people to look at, not for training."""
        return self.model.decode(latents if self.reduction is None else self.reduction.undone(latents))

    def to(self, device: torch.device) -> Self:
        """Move to a device, and return the encoder."""
        self.model.to(device)
        return self

    def save(self, folder: Path, image_size: int) -> None:
        """Write the encoder's files, encoder.json last."""
        shape = latent_shape(self, image_size, str(folder))
        (folder / MODEL).mkdir(parents=True, exist_ok=True)
        self.model.save(folder / MODEL)
        reduction = None
        if self.reduction is not None:
            kept, channels = self.reduction, None
            if kept.projection is not None:
                kept.projection.save(folder)
                channels = len(kept.projection.components)
            reduction = ReductionCard(side=kept.side, pools=kept.pools, channels=channels, variance=kept.variance)
        settings: Any = self.model.settings
        card = EncoderCard(model=settings, reduction=reduction, image_size=image_size, shape=shape)
        write_json(folder / CARD, card.model_dump(mode="json"))


class SavedEncoder(NamedTuple):
    """An encoder that was read from a folder."""

    encoder: Encoder
    card: EncoderCard
    digest: str
    """Of the folder; latents record it."""


def load_encoder(folder: Path) -> SavedEncoder:
    """Read an encoder that stage `encoder` wrote; raises ModelError when it is not there or damaged.

    Its files may be a stranger's: numbers are bounded and weights compared before a model is built, and nothing outside
    of the folder is read.
    """
    card = read_card(folder)
    try:
        require_room(card.image_size)
        encoder = Encoder(_model(folder / MODEL, card.model), _reduction(folder, card.reduction))
    except PipelineError:
        raise
    except Exception as error:  # the files may say anything, and libraries raise anything then
        raise ModelError(
            f"{folder}: no encoder could be read ({reason(error)}). The folder is damaged: delete it, then `dvc "
            f"checkout` or `dvc repro encoder` restores it."
        ) from error
    if (found := latent_shape(encoder, card.image_size, str(folder))) != card.shape:
        raise ModelError(f"{folder}: its latents have the shape {found}, wanted {card.shape} as {CARD} says.")
    return SavedEncoder(encoder, card, folder_digest(folder))


def _model(folder: Path, settings: Settings) -> EncoderModel:
    match settings:
        case DiffusersSettings():
            DiffusersAutoencoder.require_fitting(folder)
            return DiffusersAutoencoder.load(folder)
        case BackboneSettings():
            VisionBackbone.require_fitting(folder)
            return VisionBackbone.load(folder, settings)
        case OnnxSettings():
            return OnnxNetwork.load(folder, settings)
        case SupervisedSettings():
            return SupervisedEncoder.load(folder, settings)


def _reduction(folder: Path, card: ReductionCard | None) -> Reduction | None:
    if card is None:
        return None
    projection = None if card.channels is None else Projection.load(folder, card.channels)
    return Reduction(card.side, card.pools, projection, card.variance)


def read_card(folder: Path) -> EncoderCard:
    """Return what encoder.json says; raises ModelError when there is none, or one that cannot be."""
    try:
        return EncoderCard.model_validate_json(read_description(folder / CARD, inside=folder))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder / CARD}: no encoder could be read ({reason(error)}), wanted the output of stage `encoder`; run "
            f"`dvc repro encoder`."
        ) from error


def latent_shape(encoder: Encoder, image_size: int, source: str) -> Shape:
    """Return the shape of the latents of images of that size, found by encoding a gray image.

    Raises ModelError, which names `source`, when the model cannot encode it, or when the result is not a map of finite
    values. An autoencoder has to decode it too.
    """
    size = f"{image_size} x {image_size} pixels"
    try:
        latents = encoder.encode(torch.zeros(1, 3, image_size, image_size))
        if encoder.can_decode:
            encoder.decode(latents)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise ModelError(
            f"{source}: an image of {size} cannot be encoded ({reason(error)}). Wanted an encoder of single RGB images "
            f"of data.image_size; change the size, or choose another model."
        ) from error
    if latents.ndim != 4 or not 0 < latents[0].numel() <= MOST_VALUES:
        found, wanted = tuple(latents.shape), f"(1, channels, height, width) and at most {MOST_VALUES:,} values"
        raise ModelError(f"{source}: an image of {size} becomes values of shape {found}, wanted {wanted}.")
    if not latents.isfinite().all():
        raise ModelError(f"{source}: the latents of a gray image are not finite. The weights are damaged.")
    _, channels, height, width = latents.shape
    return channels, height, width
