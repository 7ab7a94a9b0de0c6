"""Gaussian noise with the covariance of given rows, without a matrix of d x d values if there are few rows."""

import torch
from torch import Tensor

BLOCK_ROWS = 4096
"""Number of rows that are factored at once, together with the factor of the rows before."""


def covariance_root(
    rows: Tensor,  # (n, d)
) -> Tensor:  # (min(n, d), d)
    """Return R, for which R^T R is the sample covariance of `rows`.

    Standard normal draws (m, min(n, d)) times R have that covariance. R is the triangular factor of the centred rows,
    divided by sqrt(n - 1). Its signs are fixed, which makes it unique. It is computed in float64 on the CPU, so it is
    the same on every device. With n <= d the noise stays in the span of the rows.
    Blocks of rows are factored in turn, each stacked below the factor so far, which has the same R^T R.
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
