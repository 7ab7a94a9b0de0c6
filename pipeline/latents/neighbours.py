"""Exact distances to the k-th nearest neighbour, in blocks of queries and of bank rows, so that memory is bounded."""

import torch
from torch import Tensor

from pipeline.runtime.memory import empty_table

BLOCK_VALUES = 2**24
"""Distances in memory at once: 64 MiB in float32."""
BANK_VALUES = 2**26
"""Values of the bank compared at once, 256 MiB in float32: PyTorch copies them to compute distances by products."""
DIRECT_ROWS = 25
"""Up to this many rows on both sides, `torch.cdist` computes distances without products."""
ROWS_AT_ONCE = 1024
TYPICAL_ROWS = 2_048
"""Rows that the typical distance is computed from. Time for all rows would grow with their square."""


class Bank:
    """Rows to search for neighbours in repeatedly: the copy that `torch.cdist` would make for each call is made once.

    rows: (m, d).
    """

    def __init__(self, rows: Tensor) -> None:
        self._rows_with_norms = _with_norms(rows)
        self.rows = self._rows_with_norms[:, :-2]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def distances(self, queries: Tensor, part: slice) -> Tensor:
        """Return the distances of queries (n, d) to the rows in `part`, bit for bit those of `torch.cdist`."""
        few = len(self.rows[part]) <= DIRECT_ROWS and not torch.compiler.is_compiling()  # ONNX has no cdist
        if few and len(queries) <= DIRECT_ROWS:
            return torch.cdist(queries, self.rows[part].contiguous())
        norms = queries.pow(2).sum(1, keepdim=True)
        queries_with_norms = torch.cat([queries * -2, norms, torch.ones_like(norms)], dim=1)
        return (queries_with_norms @ self._rows_with_norms[part].T).clamp_(min=0).sqrt_()


def _with_norms(rows: Tensor) -> Tensor:  # (m, d + 2)
    """Return rows with two more columns, 1 and their squared norm, in a table that may be stored in a file."""
    if rows.device.type == "cpu":
        table = torch.from_numpy(empty_table((len(rows), rows.shape[1] + 2), rows.numpy().dtype.type))
    else:
        table = rows.new_empty(len(rows), rows.shape[1] + 2)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        table[block, :-2], table[block, -2] = rows[block], 1
        table[block, -1] = rows[block].pow(2).sum(1)
    return table


def evenly_spaced_rows(rows: int, most: int, device: torch.device) -> Tensor:  # (min(rows, most),) int64
    """Return at most `most` numbers of `rows` rows, at even steps from the first."""
    count = min(rows, most)
    return torch.arange(count, device=device) * rows // count


def kth_distance(
    queries: Tensor,  # (n, d)
    bank: Tensor | Bank,  # (m, d)
    k: int,
) -> Tensor:  # (n,)
    """Return the Euclidean distance from each query to its k-th nearest row of the bank, k counted from 1.

    If a query is itself a row of the bank, its first neighbour is that row. Use k + 1 then.
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
    """Return the Euclidean distance from each query to its nearest row of the bank, and the number of that row.

    Distances are computed from differences. So the distance of two equal rows is exactly 0; that of `kth_distance` is 0
    up to rounding. Of rows that are equally near, up to that rounding, any may be returned. Raises ValueError when the
    bank has no row.
    """
    if not len(bank):
        raise ValueError("there is no nearest of 0 rows")
    rows = [_smallest(block, bank, 1)[1][:, 0] for block in _query_blocks(queries, bank)]
    index = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.int64, device=queries.device)
    # in blocks too, because indexing copies rows of the bank
    parts = [(queries[part] - bank[index[part]]).norm(dim=1) for part in torch.arange(len(queries)).split(1024)]
    return torch.cat(parts) if parts else queries.new_zeros(0), index


def typical_distance(
    rows: Tensor,  # (n, d), n at least 2
) -> float:
    """Return the median distance of a row to the nearest other row; the lower one of two medians.

    The median is over TYPICAL_ROWS rows at even steps, or over all rows if there are fewer. The nearest row is searched
    among all rows.
    """
    queries = rows[evenly_spaced_rows(len(rows), TYPICAL_ROWS, rows.device)]
    return float(kth_distance(queries, rows, 2).median())


def _query_blocks(queries: Tensor, bank: Tensor | Bank) -> list[Tensor]:
    """Return the queries in blocks, each with at most BLOCK_VALUES distances to a part of the bank."""
    part_rows = min(len(bank), _bank_rows(queries))
    return [block for block in queries.split(max(1, BLOCK_VALUES // part_rows)) if block.shape[0]]


def _bank_rows(queries: Tensor) -> int:
    return max(1, BANK_VALUES // max(1, queries.shape[1]))


def _smallest(queries: Tensor, bank: Tensor | Bank, k: int) -> tuple[Tensor, Tensor]:  # (n, k), (n, k) int64
    """Return the k smallest distances of each query, ascending, and the numbers of their bank rows.

    A large bank is searched in parts, and the smallest distances of each part are kept. The code uses topk, because
    kthvalue is not deterministic on a GPU.
    """
    parts: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(bank), _bank_rows(queries)):
        part = slice(start, start + _bank_rows(queries))
        part_distances = bank.distances(queries, part) if isinstance(bank, Bank) else torch.cdist(queries, bank[part])
        distances, rows = part_distances.topk(min(k, part_distances.shape[1]), dim=1, largest=False)
        parts.append((distances, rows + start))
    if len(parts) == 1:
        return parts[0]
    distances, rows = (torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True))
    best = distances.topk(k, dim=1, largest=False)
    return best.values, rows.gather(1, best.indices)
