"""Logistic regression on fixed features: of a frozen vision network, or of thumbnails and their edges.

The penalty is chosen on ID validation, as a user would.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.photographs.judging import Array, Json, judged, network_scores
from benchmarks.photographs.project import Split
from pipeline.images.image_set import ImageSet, from_8_bits, resized
from pipeline.images.prefetch import prefetch
from pipeline.training.logistic import PENALTIES, fit_on_validation
from pipeline.training.rival import regression_network

BACKBONE_PIXELS = 224
"""Side of the images that the frozen backbone is given."""
BATCH_SIZE = 32
THUMBNAIL, EDGES, CELL, DIRECTIONS = 16, 64, 8, 9
"""Sides of the picture that colours and edges are taken of, side of a cell of edges, and bins of their directions."""


def settings() -> Json:
    """Return what the results of these contestants follow from, beside images and network."""
    return {"penalties": list(PENALTIES), "pixels": BACKBONE_PIXELS, "cells": [THUMBNAIL, EDGES, CELL, DIRECTIONS]}


def backbone_features(split: Split, backbone: Path) -> dict[str, Array]:
    """Return the mean over places of a vision network's last map, for every set, (n, d)."""
    from pipeline.networks.encoders.vision_backbone import VisionBackbone

    network = VisionBackbone.read(backbone, None).to(torch.device("cpu"))
    return {
        name: torch.cat([network.encode(pixels).mean((2, 3)) for pixels in _batches(images)]).double().numpy()
        for name, images in split.sets.items()
    }


def _batches(images: ImageSet) -> Iterator[torch.Tensor]:
    def read(rows: torch.Tensor) -> torch.Tensor:
        pixels = np.stack([resized(images.read(row), BACKBONE_PIXELS) for row in rows.tolist()])
        return torch.from_numpy(from_8_bits(pixels)).permute(0, 3, 1, 2)

    yield from prefetch(read, torch.arange(len(images)).split(BATCH_SIZE))


def thumbnail_features(split: Split) -> dict[str, Array]:
    """Return colours of a thumbnail and directions of edges, for every set, (n, d)."""
    return {
        name: np.stack([_thumbnail(images.read(row)) for row in range(len(images))])
        for name, images in split.sets.items()
    }


def _thumbnail(picture: Image.Image) -> Array:
    small = resized(picture, THUMBNAIL).astype(np.float64).ravel() / 255
    return np.concatenate([small, edges(resized(picture.convert("L"), EDGES)[..., 0] / 255)])


def edges(gray: Array) -> Array:
    """Return how strong the edges of each direction are in each cell of an image (s, s), each cell of unit length.

    A histogram of oriented gradients (Dalal and Triggs 2005) without overlapping blocks.
    """
    down, across = np.gradient(gray)
    direction = np.mod(np.arctan2(down, across), np.pi) * (DIRECTIONS / np.pi)
    bins = np.minimum(direction.astype(int), DIRECTIONS - 1)
    strength = np.hypot(down, across)
    rows, columns = np.indices(gray.shape) // CELL
    cells = gray.shape[0] // CELL
    found = np.zeros((cells, cells, DIRECTIONS))
    np.add.at(found, (rows, columns, bins), strength)
    scaled: Array = (found / (np.linalg.norm(found, axis=2, keepdims=True) + 1e-2)).ravel()
    return scaled


def judge(features: dict[str, Array], split: Split) -> Json:
    """Return what logistic regression on these features reaches, and the penalty that ID validation chose."""
    labels = {name: split.sets[name].labels for name in ("id_train", "id_validation", "id_test")}
    known, validation = "id_train", "id_validation"
    fitted = fit_on_validation(features[known], labels[known], features[validation], labels[validation])
    tried = [{"c": c, "cross_entropy": loss} for c, loss in fitted.validation_losses.items()]
    chosen = {"c": fitted.c, "id_validation": tried}
    head, outputs = regression_network(fitted, features)
    scores = network_scores(head, outputs, torch.from_numpy(labels["id_train"]).long(), split.params.infer)
    hits = outputs["id_test"].logits.argmax(1).numpy() == labels["id_test"]
    return judged(scores, hits, split.params.score.id_rejection) | {"chosen": chosen}
