"""Which classes meet in a row, and with how much of each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.synthesize.method import Columns


def distinct_classes(
    first: NDArray[np.int64],  # (n,)
    count: int,
    classes: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:  # (n, count)
    """Return for each row `count` different classes, the given one first, the others uniform among the rest.

    Each is drawn as its place among the classes that the row does not have yet, and counted up past those it has.
    """
    chosen = first[:, None]
    for taken in range(1, count):
        further_class = rng.integers(0, classes - taken, len(first))
        for known in np.sort(chosen, axis=1).T:
            further_class += further_class >= known
        chosen = np.concatenate([chosen, further_class[:, None]], axis=1)
    return chosen


def convex_shares(
    rows: int,
    count: int,
    lam_min: float,
    lam_max: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:  # (rows, count), sums of 1
    """Return how much of each class a row has.

    Two classes: the first one's share is uniform in lam_min..lam_max. More: uniform over the simplex, drawn together
    towards its centre by one factor, so that no share exceeds lam_max.
    """
    if count == 2:
        first = rng.uniform(lam_min, lam_max, rows)
        return np.stack([first, 1 - first], axis=1)
    corner = rng.dirichlet(np.ones(count), rows)
    reach = (lam_max - 1 / count) / (1 - 1 / count)
    shares: NDArray[np.float64] = 1 / count + reach * (corner - 1 / count)
    return shares


def further_columns(count: int, *names: str) -> Mapping[str, np.dtype[Any]]:
    """Return columns for the third to the last of a row's `count` classes, such as class_3 and lam_3.

    names: of class, parent and lam those that are recorded. The second class has what the shares leave.
    """
    kinds = {"class": np.dtype("<i4"), "parent": np.dtype("<i4"), "lam": np.dtype("<f4")}
    return {f"{name}_{place}": kinds[name] for place in range(3, count + 1) for name in names}


def further(**values: NDArray[Any]) -> Columns:
    """Return what `further_columns` promises; of each name the values of all classes of a row, (n, count)."""
    return {
        f"{name}_{place + 1}": columns[:, place]
        for name, columns in values.items()
        for place in range(2, columns.shape[1])
    }
