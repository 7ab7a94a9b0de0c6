"""Pictures of rows: decoded from their latents, or the images themselves where the encoder cannot decode."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.images.image_set import resized
from pipeline.latents.latents import Latents, require_outliers, to_scaled
from pipeline.networks.encoders.encoder import Encoder
from pipeline.outliers.stand_ins.names import stands_in
from pipeline.params.data import DataParams
from pipeline.report.grid import decoded
from pipeline.store.format import LATENT
from pipeline.store.reader import Store

Images = NDArray[np.float32]  # (n, s, s, 3) in 0..1
RowNumbers = NDArray[np.int64]


class RowPictures(Protocol):
    """Draws rows of image sets and of outliers."""

    def id_train(self, rows: RowNumbers) -> Images:
        """Return pictures of ID training rows."""

    def outliers(self, latents: Tensor) -> Images | None:
        """Return pictures of standardised outliers (n, c, h, w), or None where they cannot be drawn."""

    def image_set(self, name: str, rows: RowNumbers) -> Images | None:
        """Return pictures of rows of an image set or of stand-ins, or None where they cannot be drawn."""


@dataclass(frozen=True)
class DecodedRows:
    """Decodes every row alike, so that an outlier is drawn as well as its parents."""

    encoder: Encoder
    train: Latents
    latents: Path
    """The folder of the image sets."""
    scores: Path
    """The folder of the stand-ins."""

    def id_train(self, rows: RowNumbers) -> Images:
        """Decode rows of the ID training latents."""
        return self.outliers(self.train.values[torch.from_numpy(rows)])

    def outliers(self, latents: Tensor) -> Images:
        """Decode standardised latents."""
        return decoded(to_scaled(latents, self.train.header.standardisation), self.encoder)

    def image_set(self, name: str, rows: RowNumbers) -> Images:
        """Decode rows of a set; raises StoreError when its store is incomplete or of another latent space."""
        synthetic = stands_in(name)
        store = Store((self.scores if synthetic else self.latents) / name)
        if synthetic:
            require_outliers(store, self.train.header)
        else:
            store.require("latents", self.train.header.space)
        values = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
        return self.outliers(values) if synthetic else decoded(values, self.encoder)


@dataclass(frozen=True)
class OriginalRows:
    """Shows the images themselves, at the size that is encoded; an outlier has no image."""

    data: DataParams

    def id_train(self, rows: RowNumbers) -> Images:
        """Read ID training images."""
        return self._read("id_train", rows)

    def outliers(self, latents: Tensor) -> None:  # noqa: ARG002  # the interface of all pictures of rows
        """Return None: an outlier is a latent, and there is no way back from it."""
        return

    def image_set(self, name: str, rows: RowNumbers) -> Images | None:
        """Read images of a set; stand-ins have none."""
        return None if stands_in(name) else self._read(name, rows)

    def _read(self, name: str, rows: RowNumbers) -> Images:
        images = self.data.open(name)
        pixels = np.stack([resized(images.read(int(row)), self.data.image_size) for row in rows])
        return pixels.astype(np.float32) / np.float32(255)
