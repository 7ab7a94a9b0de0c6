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
