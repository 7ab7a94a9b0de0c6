"""The interface of every model that encodes images."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor


class ModelSettings(BaseModel):
    """What the files of a model do not say and reading it needs; `kind` names its class in params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kind: str


class EncoderModel(ABC):
    """A frozen model that turns images into latents, and may turn latents into images."""

    settings: ModelSettings
    can_decode = False
    """Whether `decode` can be called; a classifier or a backbone has no way back."""
    scaling_factor = 1.0
    """Factor on the latents by convention of the model's authors; 1 where they have none."""

    @abstractmethod
    def encode(
        self,
        images: Tensor,  # (n, 3, s, s) in -1..1
    ) -> Tensor:  # (n, c, h, w)
        """Return the latents of images; the same image gives the same latent at any place of the batch."""

    def decode(
        self,
        latents: Tensor,  # (n, c, h, w), as `encode` returns them
    ) -> Tensor:  # (n, 3, s, s) in -1..1
        """Return the images of latents, for people to look at; only where `can_decode`."""
        raise NotImplementedError

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """Move to a device, and return the model."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model's files; equal models give equal bytes."""
