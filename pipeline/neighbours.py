"""Exact distances to the k-th nearest neighbour, in blocks of bounded memory on both sides."""

import torch
from torch import Tensor

BLOCK_VALUES = 2**24
"""Distances held at once: 64 MiB in float32."""
BANK_VALUES = 2**26
"""Values of the bank compared with at once, 256 MiB in float32: to find distances by products, PyTorch copies them."""


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
    blocks = [_smallest(block, bank, k)[0][:, -1] for block in _query_blocks(queries, bank)]
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
    rows = [_smallest(block, bank, 1)[1][:, 0] for block in _query_blocks(queries, bank)]
    index = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.int64, device=queries.device)
    # in blocks too, because the rows of the bank are copied
    parts = [(queries[part] - bank[index[part]]).norm(dim=1) for part in torch.arange(len(queries)).split(1024)]
    return torch.cat(parts) if parts else queries.new_zeros(0), index


def _query_blocks(queries: Tensor, bank: Tensor) -> list[Tensor]:
    """Return the queries in blocks whose distances to a part of the bank are not too many."""
    together = min(len(bank), _bank_rows(bank))
    return [block for block in queries.split(max(1, BLOCK_VALUES // together)) if len(block)]


def _bank_rows(bank: Tensor) -> int:
    return max(1, BANK_VALUES // max(1, bank.shape[1]))


def _smallest(queries: Tensor, bank: Tensor, k: int) -> tuple[Tensor, Tensor]:  # (n, k), (n, k) int64
    """Return the k smallest distances of each query, ascending, and the rows of the bank they are to.

    Of a large bank the smallest of each part are kept. topk, because kthvalue has no repeatable version on a GPU.
    """
    found: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(bank), _bank_rows(bank)):
        part = bank[start : start + _bank_rows(bank)]
        distances, rows = torch.cdist(queries, part).topk(min(k, len(part)), dim=1, largest=False)
        found.append((distances, rows + start))
    if len(found) == 1:
        return found[0]
    distances, rows = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
    best = distances.topk(k, dim=1, largest=False)
    return best.values, rows.gather(1, best.indices)
