"""Exact nearest rows where only near ones matter: most pairs are ruled out by their distance in a few directions."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.latents.neighbours import BLOCK_VALUES, evenly_spaced_rows, nearest

DIRECTIONS = 128
"""Directions in which pairs are compared first; rows of few more values are compared as they are."""
SAMPLED_ROWS = 2_048
"""Rows that the directions are fitted to."""
MOST_PAIRS = 64
"""Pairs per query that are compared in full one by one; where more are left, the directions say too little."""
ROUNDING = 1e-5
"""Bound of the rounding of a squared distance that is computed by products, as a share of the squared norms."""
ROWS_AT_ONCE = 1024


class DirectedRows:
    """Rows to search in repeatedly, with their coordinates in the directions in which they vary most.

    The directions are orthonormal, and one more coordinate is the length of what they leave over. So no distance of
    coordinates is larger than that of the rows: what is far away in them is far away. The directions are the first
    principal components of some of the rows.

    rows: (m, d), m at least 1.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        if self.saves:
            self._fit()

    @property
    def saves(self) -> bool:
        """Whether coordinates are so much shorter than rows that comparing them first saves work."""
        return self.rows.shape[1] >= 2 * DIRECTIONS

    def project(self, rows: Tensor) -> Tensor:
        """Return the coordinates of rows (n, d), (n, DIRECTIONS + 1 or fewer)."""
        parts = []
        for part in rows.split(ROWS_AT_ONCE):
            centred = part - self._mean
            along = centred @ self._directions
            left_over = (centred.pow(2).sum(1, keepdim=True) - along.pow(2).sum(1, keepdim=True)).clamp(min=0).sqrt()
            parts.append(torch.cat([along, left_over], dim=1))
        return torch.cat(parts)

    def _fit(self) -> None:
        """Find the directions, and the coordinates of all rows."""
        rows = self.rows
        sample = rows[evenly_spaced_rows(len(rows), SAMPLED_ROWS, rows.device)].double()
        mean = sample.mean(0)
        centred = sample - mean
        _, vectors = torch.linalg.eigh(centred @ centred.T)  # of the smaller of two matrices with these components
        leading = centred.T @ vectors[:, -DIRECTIONS:]
        self._directions, self._mean = torch.linalg.qr(leading).Q.to(rows.dtype), mean.to(rows.dtype)
        self.coordinates = self.project(rows)
        self.largest_norm = float(self.coordinates.pow(2).sum(1).max())  # squared


class NearRows(NamedTuple):
    """Queries that have a row nearer than a limit, and for each the nearest row."""

    queries: Tensor  # (q,) int64, ascending
    rows: Tensor  # (q,) int64
    distances: Tensor  # (q,)


def near_rows(
    queries: Tensor,  # (n, d)
    bank: DirectedRows,
    limit: float,
) -> NearRows:
    """Return the queries with a row of the bank nearer than `limit`, on the CPU.

    Distances are computed from differences, so that the distance of two equal rows is exactly 0.
    """
    found = [NearRows(*(torch.empty(0, dtype=kind) for kind in (torch.int64, torch.int64, queries.dtype)))]
    for start in range(0, len(queries), block_rows := max(1, BLOCK_VALUES // len(bank.rows))):
        block = queries[start : start + block_rows]
        which, rows, distances = _nearest_candidates(block, bank, limit)
        near = distances < limit
        found.append(NearRows(which[near] + start, rows[near], distances[near]))
    return NearRows(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _nearest_candidates(queries: Tensor, bank: DirectedRows, limit: float) -> NearRows:
    """Return at least the queries with a row nearer than `limit`, and for each its nearest row."""
    if not bank.saves:
        return _nearest_of_all(queries, bank)
    coordinates = bank.project(queries)
    slack = ROUNDING * (bank.largest_norm + float(coordinates.pow(2).sum(1).max()))
    candidates = torch.cdist(coordinates, bank.coordinates).square_() < limit**2 + slack
    if int(candidates.sum()) > MOST_PAIRS * len(queries):
        return _nearest_of_all(queries, bank)
    return _nearest_of_pairs(queries, bank.rows, candidates.nonzero())


def _nearest_of_all(queries: Tensor, bank: DirectedRows) -> NearRows:
    distances, rows = nearest(queries, bank.rows)
    return NearRows(torch.arange(len(queries)), rows.cpu(), distances.cpu())


def _nearest_of_pairs(
    queries: Tensor,  # (n, d)
    bank: Tensor,  # (m, d)
    pairs: Tensor,  # (p, 2) of a query and a row of the bank
) -> NearRows:
    """Return the queries that occur in pairs, and for each the nearest row among its pairs."""
    parts = (part.T for part in pairs.split(ROWS_AT_ONCE))
    distances = torch.cat([(queries[which] - bank[rows]).norm(dim=1) for which, rows in parts]).cpu().numpy()
    which, rows = pairs.T.cpu().numpy()
    order = np.lexsort((distances, which))
    _, first = np.unique(which[order], return_index=True)
    return NearRows(*(torch.from_numpy(values[order[first]]) for values in (which, rows, distances)))
