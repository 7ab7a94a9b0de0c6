"""Measure rows against the ID latents and the teachers: whether they are outliers, and how diverse they are."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.latents.boundary import Boundary, require_neighbours
from pipeline.latents.latents import Latents
from pipeline.latents.neighbours import kth_distance, typical_distance
from pipeline.networks.resnet import LatentResNet
from pipeline.networks.saved_network import predict
from pipeline.params.quality import QualityParams
from pipeline.runtime.memory import gathered
from pipeline.store.format import LATENT
from pipeline.store.reader import Store

Measured = dict[str, Any]
SMALLEST = 1e-9
"""Lower bound of every distance that others are divided by. It is reached where a class is one image many times."""


@dataclass(frozen=True)
class MeasuredRows:
    """Rows to measure, with the posteriors that the teachers give them."""

    values: Tensor  # (n, d), standardised
    classes: NDArray[np.int64]  # (n, 2 or more) classes of a row; a single class is repeated, NOBODY means none
    share: NDArray[np.float64]  # (n,) of the first class
    posteriors: NDArray[np.float64]  # (seeds, n, k)


class Reference:
    """The ID training latents, and the distances among them by which other distances are divided."""

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
        self.nearest_distance = max(typical_distance(rows), SMALLEST)
        sampled_rows = rows[torch.from_numpy(spaced_rows(len(rows), params.rows))]
        self.pair_distance = max(_mean_distance(sampled_rows), SMALLEST)

    def reach(self, values: Tensor) -> NDArray[np.float64]:
        """Return the distance of rows (n, d) to each class, divided by the class's radius, (n, k).

        A value above 1 is beyond the boundary of the class.
        """
        labels = range(len(self.boundary.banks))
        distances = [self.boundary.distance(values.to(self.rows.device), label) for label in labels]
        reaches: NDArray[np.float64] = torch.stack(distances, dim=1).double().cpu().numpy() / self.radii
        return reaches


def measure(rows: MeasuredRows, reference: Reference) -> Measured:
    """Return the measures of a set of rows.

    own_class_distance: k-NN distance to a class, divided by that class's radius; the smallest over a row's own classes,
    the median over rows.
    beyond_own: share of rows beyond the radius of all their own classes.
    beyond_all: share of rows beyond the radius of every class.
    nearest_id: median distance to the nearest ID training row, divided by the median nearest-neighbour distance of ID
    training rows.
    diversity: mean distance between two rows, divided by that of ID training rows.
    entropy: mean entropy of the teacher's posterior, divided by log k.
    confident: share of rows to which the teacher gives a class with more than `confidence`.
    passes_for_id: share of rows that are confident, and within the radius of the predicted class.

    The last three have a mean and a standard deviation over seeds. Measures of own classes are None if a row has no
    class. Diversity is None if there is one row only.
    """
    values = rows.values.to(reference.rows.device)
    reach = reference.reach(values)
    own_reach = _own_reach(reach, rows.classes)
    top = rows.posteriors.max(2)  # (seeds, n)
    confident = top > reference.params.confidence
    within = np.take_along_axis(reach[None], rows.posteriors.argmax(2)[..., None], axis=2)[..., 0] <= 1
    return {
        "rows": len(rows.values),
        "own_class_distance": None if own_reach is None else float(np.median(own_reach)),
        "beyond_own": None if own_reach is None else float((own_reach > 1).mean()),
        "beyond_all": float((reach.min(1) > 1).mean()),
        "nearest_id": float(kth_distance(values, reference.rows, 1).median()) / reference.nearest_distance,
        "diversity": _mean_distance(values) / reference.pair_distance if len(values) > 1 else None,
        "entropy": _over_seeds(_entropy(rows.posteriors).mean(1)),
        "confident": _over_seeds(confident.mean(1)),
        "passes_for_id": _over_seeds((confident & within).mean(1)),
    }


def posterior_by_share(rows: MeasuredRows, bins: int) -> NDArray[np.float64] | None:
    """Return the teachers' mean posterior in bins of the first class's share.

    The result is (bins that hold rows, 4): the middle of the bin, then the mean posterior of class a, of class b and of
    all others. It is None when no row lies between classes.
    """
    between = rows.classes[:, 0] != rows.classes[:, 1]
    if not between.any():
        return None
    posterior, classes, share = rows.posteriors.mean(0)[between], rows.classes[between], rows.share[between]
    first, second = (posterior[np.arange(len(posterior)), classes[:, column]] for column in (0, 1))
    edges = np.linspace(share.min(), share.max(), bins + 1)
    bin_indices = np.clip(np.digitize(share, edges) - 1, 0, bins - 1)
    lines = []
    for index in np.unique(bin_indices):
        in_bin = bin_indices == index
        means = (first[in_bin].mean(), second[in_bin].mean())
        lines.append((edges[index : index + 2].mean(), *means, 1 - sum(means)))
    return np.array(lines)


def rows_of_latents(latents: Latents, most: int, teachers: list[LatentResNet]) -> MeasuredRows:
    """Return at most `most` evenly spaced rows of an image set, with the teachers' posteriors."""
    rows = spaced_rows(len(latents.values), most)
    classes = np.stack([latents.labels[rows]] * 2, axis=1).astype(np.int64)
    return _with_posteriors(latents.values[torch.from_numpy(rows)], classes, np.ones(len(classes)), teachers)


def rows_of_store(store: Store, most: int, teachers: list[LatentResNet]) -> MeasuredRows:
    """Return at most `most` evenly spaced rows of an outlier store, with the teachers' posteriors."""
    rows = spaced_rows(store.rows, most)
    values = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
    names = sorted(name for name in store.header.columns if name.startswith("class_"))
    names = ["class_a", "class_b", *(name for name in names if name not in ("class_a", "class_b"))]
    classes = np.stack([store.take(name, rows) for name in names], axis=1).astype(np.int64)
    return _with_posteriors(values, classes, store.take("lam", rows).astype(np.float64), teachers)


def _with_posteriors(
    values: torch.Tensor, classes: np.ndarray, share: np.ndarray, teachers: list[LatentResNet]
) -> MeasuredRows:
    posteriors = [predict(teacher, values)[0].double().softmax(1).numpy() for teacher in teachers]
    return MeasuredRows(values.flatten(1), classes, share, np.stack(posteriors))


def spaced_rows(total: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of `total` row numbers, evenly spaced."""
    return np.linspace(0, total - 1, min(total, most)).astype(np.int64)


def _own_reach(reach: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return the smallest reach over each row's own classes, (n,), or None when a row has no class."""
    if (classes[:, 0] < 0).any():
        return None
    own_reaches = np.where(classes < 0, np.inf, np.take_along_axis(reach, np.maximum(classes, 0), axis=1))
    smallest: NDArray[np.float64] = own_reaches.min(1)
    return smallest


def _mean_distance(rows: Tensor) -> float:
    """Return the mean distance of two different rows."""
    return float(torch.pdist(rows).double().mean())


def _entropy(posteriors: NDArray[np.float64]) -> NDArray[np.float64]:
    terms = posteriors * np.log(np.maximum(posteriors, np.finfo(np.float64).tiny))
    entropy: NDArray[np.float64] = -terms.sum(-1) / math.log(max(2, posteriors.shape[-1]))
    return entropy


def _over_seeds(values: NDArray[np.float64]) -> dict[str, float | None]:
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(values) > 1 else None}
