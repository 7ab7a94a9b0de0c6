"""Pictures of rows: of image sets the images themselves, of outliers and their parents what their latents decode to."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.images.image_set import resized
from pipeline.latents.augmentation import ViewKey, view
from pipeline.latents.latents import Latents, require_outliers
from pipeline.latents.standardising import to_scaled
from pipeline.networks.encoders.encoder import Encoder
from pipeline.outliers.stand_ins.names import stands_in
from pipeline.params.data import DataParams
from pipeline.params.encode import ViewsParams
from pipeline.report.grid import decoded
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.text.terminal import warn
from pipeline.store.format import LATENT
from pipeline.store.reader import Store

Images = NDArray[np.float32]  # (n, s, s, 3) in 0..1
RowNumbers = NDArray[np.int64]


class ShownViews(NamedTuple):
    """The views that ID training rows are to be shown as."""

    params: ViewsParams
    numbers: RowNumbers  # (n,) below 1 for the image as it is


class SetPictures(NamedTuple):
    """Pictures of rows of an image set."""

    images: Images
    names: list[str | None]
    """The file name of each image; None where it is no file of a folder."""


class RowPictures(Protocol):
    """Draws rows of image sets and of outliers."""

    def id_train(self, rows: RowNumbers, views: ShownViews | None = None) -> Images:
        """Return pictures of ID training rows; views are made again from their images."""

    def outliers(self, latents: Tensor) -> Images | None:
        """Return pictures of standardised outliers (n, c, h, w), or None where they cannot be drawn."""

    def image_set(self, name: str, rows: RowNumbers) -> SetPictures | None:
        """Return pictures of rows of an image set or of stand-ins, or None where they cannot be drawn."""


@dataclass(frozen=True)
class DecodedRows:
    """Decodes outliers and their parents, so that both are drawn alike; images of sets are shown as they are."""

    encoder: Encoder
    train: Latents
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

    def image_set(self, name: str, rows: RowNumbers) -> SetPictures | None:
        """Show images of a set, and decode stand-ins; raises StoreError when these are of another latent space."""
        if not stands_in(name):
            return _pictures_if_there(self.data, name, rows)
        store = Store(self.scores / name)
        require_outliers(store, self.train.header)
        values = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
        return SetPictures(self.outliers(values), [None] * len(rows))


@dataclass(frozen=True)
class OriginalRows:
    """Shows the images themselves, at the size that is encoded; an outlier has no image."""

    data: DataParams

    def id_train(self, rows: RowNumbers, views: ShownViews | None = None) -> Images:
        """Read ID training images, and make their views."""
        if views is None:
            return _pictures(self.data, "id_train", rows).images
        return _id_train_pixels(self.data, rows, views)

    def outliers(self, latents: Tensor) -> None:  # noqa: ARG002  # the interface of all pictures of rows
        """Return None: an outlier is a latent, and there is no way back from it."""
        return

    def image_set(self, name: str, rows: RowNumbers) -> SetPictures | None:
        """Read images of a set; stand-ins have none."""
        return None if stands_in(name) else _pictures_if_there(self.data, name, rows)


def _pictures_if_there(data: DataParams, name: str, rows: RowNumbers) -> SetPictures | None:
    """Return images of a set, or None and a warning where they are not on this machine: scores need latents only."""
    try:
        return _pictures(data, name, rows)
    except PipelineError as error:
        warn(f"the page has no pictures of {name}: {error}")
        return None


def _pictures(data: DataParams, name: str, rows: RowNumbers) -> SetPictures:
    """Return images of a set at the size that is encoded, with the names of their files."""
    images = data.open(name)
    pixels = np.stack([resized(images.read(int(row)), data.image_size) for row in rows])
    names = [images.paths[int(row)].name if images.paths else None for row in rows]
    return SetPictures(pixels.astype(np.float32) / np.float32(255), names)


def _id_train_pixels(data: DataParams, rows: RowNumbers, views: ShownViews) -> Images:
    """Return ID training images as these views, at the size that is encoded."""
    images, size, pixels = data.open("id_train"), data.image_size, []
    for row, number in zip(rows.tolist(), views.numbers.tolist(), strict=True):
        image, key = images.read(row), ViewKey(views.params.seed, row, number - 1)
        pixels.append(resized(image, size) if number < 1 else view(image.convert("RGB"), size, views.params, key))
    return np.stack(pixels).astype(np.float32) / np.float32(255)
