"""Draw which classes are mixed in a row, and the share of each class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.outliers.method import Columns


def distinct_classes(
    first: NDArray[np.int64],  # (n,)
    count: int,
    classes: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:  # (n, count)
    """Return `count` different classes for each row: the given first class, then others drawn uniformly.

    A further class is drawn as an index among the classes that the row does not have yet. The index is then counted up
    past the classes that the row already has.
    """
    chosen = first[:, None]
    for taken in range(1, count):
        further_class = rng.integers(0, classes - taken, len(first))
        for chosen_class in np.sort(chosen, axis=1).T:
            further_class += further_class >= chosen_class
        chosen = np.concatenate([chosen, further_class[:, None]], axis=1)
    return chosen


def convex_shares(
    rows: int,
    count: int,
    lam_min: float,
    lam_max: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:  # (rows, count); every row sums to 1
    """Return the share of each class in each row.

    With two classes, the share of the first is uniform in lam_min..lam_max. With more classes, shares are uniform over
    the simplex. They are then scaled towards its centre by one factor, so that no share exceeds lam_max.
    """
    if count == 2:
        first = rng.uniform(lam_min, lam_max, rows)
        return np.stack([first, 1 - first], axis=1)
    corner = rng.dirichlet(np.ones(count), rows)
    reach = (lam_max - 1 / count) / (1 - 1 / count)
    shares: NDArray[np.float64] = 1 / count + reach * (corner - 1 / count)
    return shares


def further_columns(count: int, *names: str) -> Mapping[str, np.dtype[Any]]:
    """Return the columns for the third to the last of a row's `count` classes, such as class_3 and lam_3.

    names: which of class, parent and lam are recorded. The share of the second class follows from the others, as shares
    sum to 1.
    """
    dtypes = {"class": np.dtype("<i4"), "parent": np.dtype("<i4"), "lam": np.dtype("<f4")}
    return {f"{name}_{number}": dtypes[name] for number in range(3, count + 1) for name in names}


def further_column_values(**values: NDArray[Any]) -> Columns:
    """Return the values of the columns that `further_columns` names.

    values: for each name, the values of all classes of a row, (n, count).
    """
    return {
        f"{name}_{index + 1}": columns[:, index]
        for name, columns in values.items()
        for index in range(2, columns.shape[1])
    }
