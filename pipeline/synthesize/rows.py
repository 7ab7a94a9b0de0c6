"""Make any rows of a store of outliers: block by block, each from its own generator, ready to be written."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.store.format import BLOCK_ROWS
from pipeline.store.writer import as_latents
from pipeline.synthesize.method import ANCESTRY, Columns, Method, Outliers, block_generator, block_rows


class RowMaker:
    """Makes any rows of one store.

    name: of the method; stream: of its random numbers, by default the same.
    """

    def __init__(self, name: str, method: Method, seed: int, stream: str | None = None) -> None:
        self.name, self.method, self.seed, self.stream = name, method, seed, stream or name

    def __call__(
        self,
        rows: range,
        latents: NDArray[np.float16],  # (len(rows), c, h, w), to be written to
    ) -> Columns:
        """Make `rows`, which start at a block, and return their columns; whole blocks are made, the rest is cut."""
        blocks = range(rows.start // BLOCK_ROWS, -(-rows.stop // BLOCK_ROWS))
        what = (
            f"synthesize.{self.name}, rows {rows.start} to {rows[-1]} (its parameters are too strong for these latents)"
        )
        columns = []
        for block, into in zip(blocks, np.split(latents, range(BLOCK_ROWS, len(rows), BLOCK_ROWS)), strict=True):
            made = self.method.block(block_rows(block), block_generator(self.seed, self.stream, block))
            as_latents(made.values.cpu().numpy()[: len(into)], what, into)
            columns.append(self._columns(made))
        return {name: values[: len(rows)] for name, values in joined(columns).items()}

    def _columns(self, block: Outliers) -> Columns:
        ancestry: Columns = {name: getattr(block, name) for name in ANCESTRY if name != "seed"}
        return {**ancestry, "seed": np.full(len(block.class_a), self.seed), **block.extra}


def in_batches(
    maker: RowMaker,
    batch_rows: int,
    mapped: Callable[..., Iterator[Columns]],
    rows: range,
    latents: NDArray[np.float16],  # (len(rows), c, h, w), to be written to
) -> Iterator[Columns]:
    """Make `rows` in parts, and return the columns of each; mapped: `map`, or that of a pool of threads."""
    step = -(-batch_rows // BLOCK_ROWS) * BLOCK_ROWS
    parts = [slice(start, start + step) for start in range(0, len(rows), step)]
    return mapped(maker, [rows[part] for part in parts], [latents[part] for part in parts])


def joined(parts: list[Columns]) -> Columns:
    """Return the columns of several runs of rows as those of all."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
