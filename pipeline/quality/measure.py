"""Measure rows against the ID latents and the teachers: whether they are outliers, and how unlike each other."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.boundary import Boundary, require_neighbours
from pipeline.latents import Latents
from pipeline.memory import gathered
from pipeline.neighbours import kth_distance, typical_distance
from pipeline.quality.params import QualityParams

Measured = dict[str, Any]
SMALLEST = 1e-9
"""In place of a yardstick of 0, where a class is one image many times over."""


@dataclass(frozen=True)
class Rows:
    """Rows to be looked at, with what the teachers say of them."""

    values: Tensor  # (n, d), standardised
    classes: NDArray[np.int64]  # (n, 2 or more) the classes a row is of, one twice, NOBODY where it is of none
    share: NDArray[np.float64]  # (n,) of the first class
    posteriors: NDArray[np.float64]  # (seeds, n, k)


class Reference:
    """The ID training latents as a yardstick."""

    def __init__(self, id_train: Latents, params: QualityParams, device: torch.device) -> None:
        labels = id_train.labels
        rows = id_train.values.flatten(1).to(device)
        banks = [gathered(rows, np.flatnonzero(labels == label)) for label in range(len(id_train.class_names))]
        sizes = dict(zip(id_train.class_names, map(len, banks), strict=True))
        require_neighbours(sizes, params.neighbours, "quality.neighbours")
        self.params = params
        self.rows = rows
        self.boundary = Boundary(banks, params.neighbours, params.boundary_share)
        self.radii = np.maximum(self.boundary.radii, SMALLEST)
        self.nearest = max(typical_distance(rows), SMALLEST)
        self.spread = max(_mean_distance(rows[torch.from_numpy(spaced_rows(len(rows), params.rows))]), SMALLEST)

    def reach(self, values: Tensor) -> NDArray[np.float64]:
        """Return how far rows (n, d) are from each class, in its radii, (n, k): beyond the boundary above 1."""
        labels = range(len(self.boundary.banks))
        distances = [self.boundary.distance(values.to(self.rows.device), label) for label in labels]
        found: NDArray[np.float64] = torch.stack(distances, dim=1).double().cpu().numpy() / self.radii
        return found


def measure(rows: Rows, reference: Reference) -> Measured:
    """Return what a set of rows is like; what a teacher says as mean and spread over seeds.

    own_class_distance: median k-NN distance to the nearer of a row's own classes, in that class's radii. beyond_own,
    beyond_all: share beyond the radius of its own classes, of every class. nearest_id: median distance to the nearest
    ID training row, in the median of these rows' own. diversity: mean distance of two rows, in the same of ID training
    rows. entropy: of the teacher's posterior, as a share of log k. confident: share that a teacher gives to one class
    with more than `confidence`. passes_for_id: confident, and within the radius of that class. What asks for a class of
    rows that have none, or for two rows where there is one, is null.
    """
    values = rows.values.to(reference.rows.device)
    reach = reference.reach(values)
    own = _own_reach(reach, rows.classes)
    top = rows.posteriors.max(2)  # (seeds, n)
    confident = top > reference.params.confidence
    within = np.take_along_axis(reach[None], rows.posteriors.argmax(2)[..., None], axis=2)[..., 0] <= 1
    return {
        "rows": len(rows.values),
        "own_class_distance": None if own is None else float(np.median(own)),
        "beyond_own": None if own is None else float((own > 1).mean()),
        "beyond_all": float((reach.min(1) > 1).mean()),
        "nearest_id": float(kth_distance(values, reference.rows, 1).median()) / reference.nearest,
        "diversity": _mean_distance(values) / reference.spread if len(values) > 1 else None,
        "entropy": _over_seeds(_entropy(rows.posteriors).mean(1)),
        "confident": _over_seeds(confident.mean(1)),
        "passes_for_id": _over_seeds((confident & within).mean(1)),
    }


def posterior_by_share(rows: Rows, bins: int) -> NDArray[np.float64] | None:
    """Return per bin of the first class's share: its middle, and the mean posterior of class a, class b and all others.

    The result is (bins that hold rows, 4), or None when no row lies between classes.
    """
    between = rows.classes[:, 0] != rows.classes[:, 1]
    if not between.any():
        return None
    posterior, classes, share = rows.posteriors.mean(0)[between], rows.classes[between], rows.share[between]
    first, second = (posterior[np.arange(len(posterior)), classes[:, place]] for place in (0, 1))
    edges = np.linspace(share.min(), share.max(), bins + 1)
    place = np.clip(np.digitize(share, edges) - 1, 0, bins - 1)
    lines = []
    for index in np.unique(place):
        mine = place == index
        means = (first[mine].mean(), second[mine].mean())
        lines.append((edges[index : index + 2].mean(), *means, 1 - sum(means)))
    return np.array(lines)


def spaced_rows(total: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of `total` row numbers, evenly spaced."""
    return np.linspace(0, total - 1, min(total, most)).astype(np.int64)


def _own_reach(reach: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64] | None:
    if (classes[:, 0] < 0).any():
        return None
    own = np.where(classes < 0, np.inf, np.take_along_axis(reach, np.maximum(classes, 0), axis=1))
    nearer: NDArray[np.float64] = own.min(1)
    return nearer


def _mean_distance(rows: Tensor) -> float:
    """Return the mean distance of two different rows."""
    return float(torch.pdist(rows).double().mean())


def _entropy(posteriors: NDArray[np.float64]) -> NDArray[np.float64]:
    terms = posteriors * np.log(np.maximum(posteriors, np.finfo(np.float64).tiny))
    entropy: NDArray[np.float64] = -terms.sum(-1) / math.log(max(2, posteriors.shape[-1]))
    return entropy


def _over_seeds(values: NDArray[np.float64]) -> dict[str, float | None]:
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(values) > 1 else None}
