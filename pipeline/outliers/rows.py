"""Make any rows of an outlier store, block by block. Every block has its own random generator."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.outliers.method import ANCESTRY, Columns, Method, Outliers, block_generator, block_rows
from pipeline.store.format import BLOCK_ROWS
from pipeline.store.writer import as_latents


class RowMaker:
    """Makes any rows of one store.

    name: name of the method; stream: name of the random stream, by default the name of the method.
    """

    def __init__(self, name: str, method: Method, seed: int, stream: str | None = None) -> None:
        self.name, self.method, self.seed, self.stream = name, method, seed, stream or name

    def __call__(
        self,
        rows: range,
        latents: NDArray[np.float16],  # (len(rows), c, h, w), filled by this call
    ) -> Columns:
        """Fill `latents` with the given rows, and return their columns.

        `rows` must start at a block. Whole blocks are made, and the surplus rows are dropped.
        """
        blocks = range(rows.start // BLOCK_ROWS, -(-rows.stop // BLOCK_ROWS))
        subject = (
            f"synthesize.{self.name}, rows {rows.start} to {rows[-1]} "
            f"(its parameters are too strong for these latents; weaken them)"
        )
        columns = []
        for block, into in zip(blocks, np.split(latents, range(BLOCK_ROWS, len(rows), BLOCK_ROWS)), strict=True):
            outliers = self.method.block(block_rows(block), block_generator(self.seed, self.stream, block))
            as_latents(outliers.values.cpu().numpy()[: len(into)], subject, into)
            columns.append(self._columns(outliers))
        return {name: values[: len(rows)] for name, values in joined(columns).items()}

    def _columns(self, block: Outliers) -> Columns:
        ancestry: Columns = {name: getattr(block, name) for name in ANCESTRY if name != "seed"}
        return {**ancestry, "seed": np.full(len(block.class_a), self.seed), **block.extra}


def in_batches(
    maker: RowMaker,
    batch_rows: int,
    mapped: Callable[..., Iterator[Columns]],
    rows: range,
    latents: NDArray[np.float16],  # (len(rows), c, h, w), filled by this call
) -> Iterator[Columns]:
    """Make `rows` in batches, and return the columns of each batch.

    mapped: the built-in `map`, or the `map` of a thread pool.
    """
    step = -(-batch_rows // BLOCK_ROWS) * BLOCK_ROWS
    parts = [slice(start, start + step) for start in range(0, len(rows), step)]
    return mapped(maker, [rows[part] for part in parts], [latents[part] for part in parts])


def joined(parts: list[Columns]) -> Columns:
    """Return the concatenated columns of consecutive parts."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
