"""The regression is that of scikit-learn on standardised features, with the penalty that validation prefers."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks.photographs import logistic


def classes(count, rng, images=60):
    labels = np.arange(images) % count
    means = np.random.default_rng(9).standard_normal((count, 6))
    return means[labels] * 3 + rng.standard_normal((images, 6)) * [1, 1, 5, 1, 1, 0.1], labels.astype(np.int32)


@pytest.mark.parametrize("count", [2, 3])
def test_logits_are_those_of_the_chosen_regression(count):
    rng = np.random.default_rng(0)
    (known, labels), (other, other_labels) = classes(count, rng), classes(count, rng)
    weight, bias, chosen = logistic.fit(
        {"id_train": known, "id_validation": other}, {"id_train": labels, "id_validation": other_labels}
    )
    scaler = StandardScaler().fit(known)
    wanted = LogisticRegression(C=chosen["c"], max_iter=1000).fit(scaler.transform(known), labels)
    logits = other @ weight.T + bias
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(shares, wanted.predict_proba(scaler.transform(other)), atol=1e-9)
    losses = {one["c"]: one["cross_entropy"] for one in chosen["id_validation"]}
    assert losses[chosen["c"]] == min(losses.values())
    assert list(losses) == list(logistic.PENALTIES)


def edges_by_loops(gray):
    """Sum gradient lengths by cell and direction, then divide each cell by its length."""
    side = len(gray)
    cells = {}
    for row in range(side):
        for column in range(side):
            above, below = max(row - 1, 0), min(row + 1, side - 1)
            before, after = max(column - 1, 0), min(column + 1, side - 1)
            down = (gray[below][column] - gray[above][column]) / (below - above)
            across = (gray[row][after] - gray[row][before]) / (after - before)
            direction = math.atan2(down, across) % math.pi
            bin_ = min(int(direction * logistic.DIRECTIONS / math.pi), logistic.DIRECTIONS - 1)
            key = (row // logistic.CELL, column // logistic.CELL, bin_)
            cells[key] = cells.get(key, 0.0) + math.hypot(down, across)
    found = []
    for row in range(side // logistic.CELL):
        for column in range(side // logistic.CELL):
            cell = [cells.get((row, column, bin_), 0.0) for bin_ in range(logistic.DIRECTIONS)]
            found += [value / (math.sqrt(sum(one * one for one in cell)) + 0.01) for value in cell]
    return found


def test_edges_are_summed_by_cell_and_direction():
    gray = np.random.default_rng(0).random((16, 16))
    np.testing.assert_allclose(logistic.edges(gray), edges_by_loops(gray.tolist()))


def test_an_image_of_one_colour_has_no_edges():
    assert not logistic.edges(np.full((16, 16), 0.5)).any()
