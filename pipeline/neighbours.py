"""Exact distances to the k-th nearest neighbour, in blocks of bounded memory."""

import torch
from torch import Tensor

BLOCK_VALUES = 2**24
"""Distances held at once: 64 MiB in float32."""


def kth_distance(
    queries: Tensor,  # (n, d)
    bank: Tensor,  # (m, d)
    k: int,
) -> Tensor:  # (n,)
    """Return the Euclidean distance from each query to its k-th nearest row of the bank, k counted from 1.

    A query that is itself a row of the bank is its own first neighbour: ask for k + 1 then.
    Raises ValueError when the bank has fewer than k rows.
    """
    if not 1 <= k <= len(bank):
        raise ValueError(f"the k-th neighbour for k = {k} does not exist among {len(bank)} rows")
    # topk, because kthvalue has no repeatable implementation on a GPU
    rows = max(1, BLOCK_VALUES // len(bank))
    blocks = [torch.cdist(block, bank).topk(k, dim=1, largest=False).values[:, -1] for block in queries.split(rows)]
    return torch.cat(blocks) if blocks else queries.new_zeros(0)


def nearest(
    queries: Tensor,  # (n, d)
    bank: Tensor,  # (m, d)
) -> tuple[Tensor, Tensor]:  # (n,), (n,) int64
    """Return the Euclidean distance from each query to its nearest row of the bank, and which row that is.

    Distances are computed from differences: that of two equal rows is 0, where `kth_distance` is 0 up to rounding.
    Among rows that are equally near, up to that rounding, any is taken. Raises ValueError when the bank has no row.
    """
    if not len(bank):
        raise ValueError("there is no nearest of 0 rows")
    blocks = queries.split(max(1, BLOCK_VALUES // len(bank)))
    rows = [torch.cdist(block, bank).topk(1, dim=1, largest=False).indices[:, 0] for block in blocks if len(block)]
    index = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.int64, device=queries.device)
    # in blocks too, because the rows of the bank are copied
    parts = [(queries[part] - bank[index[part]]).norm(dim=1) for part in torch.arange(len(queries)).split(1024)]
    return torch.cat(parts) if parts else queries.new_zeros(0), index
