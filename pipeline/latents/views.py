"""Latents of views: several augmented encodings of every ID training image, from which a training draws."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from pipeline.images.image_set import ImageSet
from pipeline.latents.augmentation import ViewKey, view
from pipeline.latents.latents import Latents, to_standardised
from pipeline.params.encode import ViewsParams
from pipeline.runtime.errors import IncompatibleStoreError, ModelError, reason
from pipeline.runtime.files import write_json
from pipeline.store.format import Frozen
from pipeline.store.pool import RowPool

CARD, STORE = "views.json", "store"


class ViewsCard(Frozen):
    """The content of views.json: how many views of each image the store beside it has; without any there is none."""

    format: Literal["latent-outliers-views/1"] = "latent-outliers-views/1"
    count: int


def viewed(images: ImageSet, size: int, params: ViewsParams) -> ImageSet:
    """Return all views of all images, those of an image one after the other.

    An image is read once: its views are asked for in order.
    """
    last: dict[int, Image.Image] = {}

    def read(index: int) -> Image.Image:
        row, number = divmod(index, params.count)
        image = last.get(row)
        if image is None:
            image = images.read(row).convert("RGB")
            last.clear()
            last[row] = image
        return Image.fromarray(view(image, size, params, ViewKey(params.seed, row, number)))

    return replace(images, labels=np.repeat(images.labels, params.count), read=read, files=None, paths=())


def write_card(folder: Path, count: int) -> None:
    """Write the card, last."""
    write_json(folder / CARD, ViewsCard(count=count).model_dump(mode="json"))


class TrainingRows:
    """The ID training latents as a training draws them: of each image the plain latent or one of its views.

    Every encoding of an image is equally likely. Without views nothing is drawn, and rows are the plain latents.
    """

    def __init__(self, latents: Latents, views: RowPool | None, count: int, device: torch.device) -> None:
        self.values = latents.values.to(device)
        self.standardisation, self.device = latents.header.standardisation, device
        self.views, self.count = views, count

    def take(
        self,
        rows: Tensor,  # (n,) on the CPU
        order: torch.Generator,
    ) -> Tensor:  # (n, c, h, w)
        """Return an encoding of each of these images, standardised, on the device."""
        values = self.values[rows.to(self.device)]
        if self.views is None:
            return values
        chosen = torch.randint(self.count + 1, (len(rows),), generator=order)
        augmented = chosen.nonzero()[:, 0]
        places = rows[augmented] * self.count + chosen[augmented] - 1
        scaled = torch.from_numpy(self.views.take(places.numpy()).astype(np.float32)).to(self.device)
        values[augmented.to(self.device)] = to_standardised(scaled, self.standardisation)
        return values


def load_training_rows(folder: Path | None, latents: Latents, device: torch.device) -> TrainingRows:
    """Return the rows that a training draws from ID latents and the views in `folder`.

    Raises ModelError when there is no card, StoreError when the store is damaged, or its views are of other latents.
    """
    count = 0 if folder is None else _count(folder)
    if folder is None or not count:
        return TrainingRows(latents, None, 0, device)
    pool = RowPool(folder / STORE)
    pool.store.require("latents", latents.header.space, latents.class_names)
    found = pool.store.column("label")
    if not np.array_equal(found, np.repeat(latents.labels, count)):
        wanted = f"{count} views of each of {len(latents.labels)} images, in their order"
        raise IncompatibleStoreError(str(folder / STORE), "its list of labels", f"{len(found)} others", wanted)
    return TrainingRows(latents, pool, count, device)


def _count(folder: Path) -> int:
    try:
        return ViewsCard.model_validate_json((folder / CARD).read_bytes()).count
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{folder / CARD}: found no account of views ({reason(error)}), wanted the output of stage `views`. "
            f"Run `dvc repro views`."
        ) from error
