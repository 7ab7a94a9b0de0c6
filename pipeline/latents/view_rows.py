"""The latents of views, from which trainings draw rows and outlier methods draw parents."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from torch import Tensor

from pipeline.latents.latents import Latents
from pipeline.latents.standardising import to_standardised
from pipeline.runtime.errors import IncompatibleStoreError, ModelError, reason
from pipeline.runtime.files import write_json
from pipeline.store.format import Frozen, Standardisation
from pipeline.store.pool import RowPool

CARD, STORE = "views.json", "store"


class ViewsCard(Frozen):
    """The content of views.json: how many views of each image the store beside it has; without any there is none."""

    format: Literal["latent-outliers-views/1"] = "latent-outliers-views/1"
    count: Annotated[int, Field(ge=0, le=2**16)]


def write_card(folder: Path, count: int) -> None:
    """Write the card, last."""
    write_json(folder / CARD, ViewsCard(count=count).model_dump(mode="json"))


class Views:
    """The latents of the views of every ID training image, read from their store a few rows at a time."""

    def __init__(self, pool: RowPool, count: int, standardisation: Standardisation) -> None:
        self.pool, self.count, self.standardisation = pool, count, standardisation

    @property
    def identity(self) -> dict[str, Any]:
        """The digest and the parameters of the views, which outlier stores record."""
        return {"store": self.pool.store.digest, **self.pool.header.provenance.get("views", {}), "count": self.count}

    def take(
        self,
        images: NDArray[np.int64],  # (n,) rows of the ID training latents
        numbers: NDArray[np.int64],  # (n,) 1..count
        device: torch.device,
    ) -> Tensor:  # (n, c, h, w)
        """Return these views of these images, standardised."""
        scaled = torch.from_numpy(self.pool.take(images * self.count + numbers - 1).astype(np.float32))
        return to_standardised(scaled.to(device), self.standardisation)

    def replace_plain(
        self,
        values: Tensor,  # (n, c, h, w) plain latents of these images, changed in place
        images: NDArray[np.int64],  # (n,)
        numbers: NDArray[np.int64],  # (n,) of views; below 1: the plain latent stays
    ) -> None:
        """Put the views of images in the place of their plain latents."""
        augmented = np.flatnonzero(numbers > 0)
        if len(augmented):
            views = self.take(images[augmented], numbers[augmented], values.device)
            values[torch.from_numpy(augmented).to(values.device)] = views


class TrainingRows:
    """The ID training latents as a training draws them: of each image the plain latent or one of its views.

    Every encoding of an image is equally likely. Without views nothing is drawn, and rows are the plain latents.
    """

    def __init__(self, latents: Latents, views: Views | None, device: torch.device) -> None:
        self.values, self.views, self.device = latents.values.to(device), views, device

    def take(
        self,
        rows: Tensor,  # (n,) on the CPU
        order: torch.Generator,
    ) -> Tensor:  # (n, c, h, w)
        """Return an encoding of each of these images, standardised, on the device."""
        if self.views is None:
            return self.values[rows.to(self.device)]
        return self.encodings(rows, torch.randint(self.views.count + 1, (len(rows),), generator=order))

    def encodings(
        self,
        rows: Tensor,  # (n,) on the CPU, as the numbers
        numbers: Tensor,  # (n,) of views; below 1: the plain latent
    ) -> Tensor:  # (n, c, h, w)
        """Return these encodings of these images, standardised, on the device."""
        values = self.values[rows.to(self.device)]
        if self.views is not None:
            self.views.replace_plain(values, rows.numpy(), numbers.numpy())
        return values


def load_training_rows(folder: Path | None, latents: Latents, device: torch.device) -> TrainingRows:
    """Return the rows that a training draws from ID latents and the views in `folder`; raises as `load_views`."""
    return TrainingRows(latents, None if folder is None else load_views(folder, latents), device)


def load_views(folder: Path, latents: Latents) -> Views | None:
    """Return the views of ID latents in the output of stage `views`; None where none were made.

    Raises ModelError when there is no card, StoreError when the store is damaged, or its views are of other latents.
    """
    if not (count := _count(folder)):
        return None
    pool = RowPool(folder / STORE)
    pool.store.require("latents", latents.header.space, latents.class_names)
    found = pool.store.column("label")
    if len(found) != count * len(latents.labels) or not np.array_equal(found, np.repeat(latents.labels, count)):
        wanted = f"{count} views of each of {len(latents.labels)} images, in their order"
        raise IncompatibleStoreError(str(folder / STORE), "its list of labels", f"{len(found)} others", wanted)
    return Views(pool, count, latents.header.standardisation)


def _count(folder: Path) -> int:
    try:
        return ViewsCard.model_validate_json((folder / CARD).read_bytes()).count
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{folder / CARD}: found no account of views ({reason(error)}), wanted the output of stage `views`. "
            f"Run `dvc repro views`."
        ) from error
