"""Pictures of rows: decoded from their latents, or the images themselves where the encoder cannot decode."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.images.image_set import resized
from pipeline.latents.augmentation import ViewKey, view
from pipeline.latents.latents import Latents, require_outliers, to_scaled
from pipeline.networks.encoders.encoder import Encoder
from pipeline.outliers.stand_ins.names import stands_in
from pipeline.params.data import DataParams
from pipeline.params.encode import ViewsParams
from pipeline.report.grid import decoded
from pipeline.store.format import LATENT
from pipeline.store.reader import Store

Images = NDArray[np.float32]  # (n, s, s, 3) in 0..1
RowNumbers = NDArray[np.int64]


class ShownViews(NamedTuple):
    """The views that ID training rows are to be shown as."""

    params: ViewsParams
    numbers: RowNumbers  # (n,) below 1 for the image as it is


class RowPictures(Protocol):
    """Draws rows of image sets and of outliers."""

    def id_train(self, rows: RowNumbers, views: ShownViews | None = None) -> Images:
        """Return pictures of ID training rows; views are made again from their images."""

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
    data: DataParams

    def id_train(self, rows: RowNumbers, views: ShownViews | None = None) -> Images:
        """Decode rows of the ID training latents; a view is encoded again first."""
        images = self.outliers(self.train.values[torch.from_numpy(rows)])
        if views is not None and len(augmented := np.flatnonzero(views.numbers > 0)):
            seen = ShownViews(views.params, views.numbers[augmented])
            pixels = torch.from_numpy(2 * _id_train_pixels(self.data, rows[augmented], seen) - 1).permute(0, 3, 1, 2)
            images[augmented] = decoded(self.encoder.encode(pixels), self.encoder)
        return images

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

    def id_train(self, rows: RowNumbers, views: ShownViews | None = None) -> Images:
        """Read ID training images, and make their views."""
        return self._read("id_train", rows) if views is None else _id_train_pixels(self.data, rows, views)

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


def _id_train_pixels(data: DataParams, rows: RowNumbers, views: ShownViews) -> Images:
    """Return ID training images as these views, at the size that is encoded."""
    images, size, pixels = data.open("id_train"), data.image_size, []
    for row, number in zip(rows.tolist(), views.numbers.tolist(), strict=True):
        image, key = images.read(row), ViewKey(views.params.seed, row, number - 1)
        pixels.append(resized(image, size) if number < 1 else view(image.convert("RGB"), size, views.params, key))
    return np.stack(pixels).astype(np.float32) / np.float32(255)
