"""Edges are summed as loops sum them."""

import math

import numpy as np

from benchmarks.photographs import logistic


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
