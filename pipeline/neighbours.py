"""Exact distances to the k-th nearest neighbour, in blocks of bounded memory on both sides."""

import torch
from torch import Tensor

from pipeline.memory import empty_table

BLOCK_VALUES = 2**24
"""Distances held at once: 64 MiB in float32."""
BANK_VALUES = 2**26
"""Values of the bank compared with at once, 256 MiB in float32: to find distances by products, PyTorch copies them."""
DIRECT = 25
"""Up to so many rows on both sides `torch.cdist` computes distances without products."""
ROWS_AT_ONCE = 1024
TYPICAL_OF = 2_048
"""Rows that are asked what distance is usual; to ask all of them takes four times as long with twice as many."""


class Bank:
    """Rows to look for neighbours among, again and again: what `torch.cdist` makes of them anew each time is kept.

    rows: (m, d).
    """

    def __init__(self, rows: Tensor) -> None:
        self._spread = _spread(rows)
        self.rows = self._spread[:, :-2]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def distances(self, queries: Tensor, part: slice) -> Tensor:
        """Return the distances of queries (n, d) to the rows in `part`, bit for bit those of `torch.cdist`."""
        if max(len(queries), len(self.rows[part])) <= DIRECT:
            return torch.cdist(queries, self.rows[part].contiguous())
        norms = queries.pow(2).sum(1, keepdim=True)
        spread = torch.cat([queries * -2, norms, torch.ones_like(norms)], dim=1)
        return (spread @ self._spread[part].T).clamp_(min=0).sqrt_()


def _spread(rows: Tensor) -> Tensor:  # (m, d + 2)
    """Return rows with a one and their squared norm behind them, in a table that may lie in a file."""
    if rows.device.type == "cpu":
        spread = torch.from_numpy(empty_table((len(rows), rows.shape[1] + 2), rows.numpy().dtype.type))
    else:
        spread = rows.new_empty(len(rows), rows.shape[1] + 2)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        here = slice(start, start + ROWS_AT_ONCE)
        spread[here, :-2], spread[here, -2] = rows[here], 1
        spread[here, -1] = rows[here].pow(2).sum(1)
    return spread


def even_steps(rows: int, most: int, device: torch.device) -> Tensor:  # (min(rows, most),) int64
    """Return the numbers of at most so many of these rows, from the first on at even steps."""
    count = min(rows, most)
    return torch.arange(count, device=device) * rows // count


def kth_distance(
    queries: Tensor,  # (n, d)
    bank: Tensor | Bank,  # (m, d)
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


def typical_distance(
    rows: Tensor,  # (n, d), n at least 2
) -> float:
    """Return the median distance of a row to the nearest other one; the lower of the two in the middle.

    The median is over TYPICAL_OF rows at even steps, or all of fewer; nearest is the nearest of all.
    """
    asked = rows[even_steps(len(rows), TYPICAL_OF, rows.device)]
    return float(kth_distance(asked, rows, 2).median())


def _query_blocks(queries: Tensor, bank: Tensor | Bank) -> list[Tensor]:
    """Return the queries in blocks whose distances to a part of the bank are not too many."""
    together = min(len(bank), _bank_rows(queries))
    return [block for block in queries.split(max(1, BLOCK_VALUES // together)) if len(block)]


def _bank_rows(queries: Tensor) -> int:
    return max(1, BANK_VALUES // max(1, queries.shape[1]))


def _smallest(queries: Tensor, bank: Tensor | Bank, k: int) -> tuple[Tensor, Tensor]:  # (n, k), (n, k) int64
    """Return the k smallest distances of each query, ascending, and the rows of the bank they are to.

    Of a large bank the smallest of each part are kept. topk, because kthvalue has no repeatable version on a GPU.
    """
    found: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(bank), _bank_rows(queries)):
        part = slice(start, start + _bank_rows(queries))
        all_of_part = bank.distances(queries, part) if isinstance(bank, Bank) else torch.cdist(queries, bank[part])
        distances, rows = all_of_part.topk(min(k, all_of_part.shape[1]), dim=1, largest=False)
        found.append((distances, rows + start))
    if len(found) == 1:
        return found[0]
    distances, rows = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
    best = distances.topk(k, dim=1, largest=False)
    return best.values, rows.gather(1, best.indices)
