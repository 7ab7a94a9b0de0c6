"""Gaussian noise with the covariance of given rows, without a matrix of d x d values where rows are few."""

import torch
from torch import Tensor

BLOCK_ROWS = 4096
"""Rows factored at once, beside the factor of those before."""


def covariance_root(
    rows: Tensor,  # (n, d)
) -> Tensor:  # (min(n, d), d)
    """Return R with R^T R the sample covariance of `rows`: standard normal draws (m, min(n, d)) times R have it.

    R is the triangular factor of the centred rows, divided by sqrt(n - 1), with its signs fixed so that there is one
    only. It is computed in float64 on the CPU: the same on every device. With n <= d the noise stays in the span of
    the rows. Blocks of rows are factored one after the other, each below the factor so far, which has the same R^T R.
    """
    blocks = rows.split(BLOCK_ROWS)
    mean = sum(block.double().cpu().sum(0) for block in blocks) / len(rows)
    factor = torch.empty(0, rows.shape[1], dtype=torch.float64)
    for block in blocks:
        centred = (block.double().cpu() - mean) / max(1, len(rows) - 1) ** 0.5
        factor = torch.linalg.qr(torch.cat([factor, centred]), mode="r").R
    signs = torch.where(factor.diagonal() < 0, -1.0, 1.0).double()
    root: Tensor = signs[:, None] * factor
    return root.to(rows)
