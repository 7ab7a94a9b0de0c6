"""Choose the test images that the detectors find hardest to tell, and gather what the page says of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.autoencoder.model import Autoencoder
from pipeline.infer.params import ScoreName
from pipeline.infer.table import ScoreTable
from pipeline.latents import require_outliers, to_scaled
from pipeline.page.material import ID_TEST, Hard, Json
from pipeline.pictures import decoded
from pipeline.stand_in import stands_in
from pipeline.store.format import LATENT, Header
from pipeline.store.reader import Store

Rows = NDArray[np.int64]
Picture = Callable[[str, Rows], NDArray[np.float32]]
"""Returns the images (n, s, s, 3) in 0..1 of these rows of an image set."""


def hardest_rows(table: ScoreTable, score: ScoreName, image_set: str, count: int) -> Rows:
    """Return the rows that look most like the other side, the hardest first.

    Of the ID test set these have the largest scores, of an OOD set the smallest; mean over the detectors of all seeds,
    the first row where they are equal.
    """
    mean = table.scores["detector", image_set, score].mean(0)
    order = np.argsort(-mean if image_set == ID_TEST else mean, kind="stable")
    return order[:count].astype(np.int64)


def pictures_from(latents: Path, scores: Path, id_train: Header, autoencoder: Autoencoder) -> Picture:
    """Return the function that decodes rows of the image sets under `latents`, and reads no more than it needs.

    What stands in for OOD images lies under `scores`. It raises StoreError when an image set is no whole store of rows
    like `id_train`'s.
    """

    def picture(image_set: str, rows: Rows) -> NDArray[np.float32]:
        made = stands_in(image_set)
        store = Store((scores if made else latents) / image_set)
        if made:
            require_outliers(store, id_train)
        else:
            store.require("latents", id_train.space)
        values = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
        return decoded(to_scaled(values, id_train.standardisation) if made else values, autoencoder)

    return picture


def hardest_images(
    table: ScoreTable,
    metrics: Json,
    count: int,
    picture: Picture,
) -> dict[str, tuple[Hard, ...]]:
    """Return the `count` hardest images of the ID test set and of each OOD set."""
    found = {}
    for image_set in (ID_TEST, *metrics["sets"]):
        rows = hardest_rows(table, metrics["score"], image_set, count)
        images = picture(image_set, rows)
        found[image_set] = tuple(
            _told(table, metrics, image_set, int(row), image) for row, image in zip(rows, images, strict=True)
        )
    return found


def _told(table: ScoreTable, metrics: Json, image_set: str, row: int, image: NDArray[np.float32]) -> Hard:
    values = table.scores["detector", image_set, metrics["score"]][:, row]
    limits = np.array([metrics["threshold"]["values"][str(seed)] for seed in table.seeds])
    label = int(table.labels[image_set][row])
    return Hard(
        image=image,
        score=float(values.mean()),
        threshold=float(limits.mean()),
        flagged_by=int((values > limits).sum()),
        truth=None if label < 0 else table.class_names[label],
        predicted=table.class_names[int(np.bincount(table.predicted["detector", image_set][:, row]).argmax())],
    )
