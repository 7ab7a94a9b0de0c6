"""`make bench`: speed of the store and of synthesis against the plain thing, side by side in one run.

Every ratio is (time of the plain thing) / (our time), each the fastest of several rounds in which the two take turns:
what else the machine does can only add to a time. 1 means as fast, above 1 faster; medians stand beside it.
"""

import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipeline.files import write_json
from pipeline.latents import Latents, load_id_train
from pipeline.page.load import processor
from pipeline.progress import progress
from pipeline.runlog import git_revision
from pipeline.store.format import BLOCK_ROWS, LatentSpace, Standardisation
from pipeline.store.pool import RowPool
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter
from pipeline.synthesize.method import Parents, block_generator, block_rows
from pipeline.synthesize.mixup import Mixup
from pipeline.synthesize.params import MixupParams, PerturbParams
from pipeline.synthesize.perturb import Perturb

FORMAT = "latent-outliers-bench/1"
ROUNDS = 7
SHAPE = (4, 32, 32)
STORE_ROWS = 131_072  # 1 GiB
BATCH_ROWS, BATCHES = 256, 256
ID_ROWS, CLASSES = 5_000, 10
BLOCKS = 4
RESULT = Path("benchmarks/results/bench-cpu.json")
SPACE = LatentSpace(autoencoder="bench", scaling_factor=1.0, image_size=256, shape=SHAPE)
UNIT = Standardisation(mean=(0.0,) * 4, std=(1.0,) * 4)
PERTURB = PerturbParams(rows=1, neighbours=10, boundary_share=0.5, sigma=1.0, noise="diagonal", candidates=8)
MIXUP = MixupParams(rows=1, kinds=("linear", "masked"), classes=2, lam_min=0.3, lam_max=0.7)

Side = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """Two ways to do the same work, and how many times as fast ours should be."""

    plain: Side
    ours: Side
    goal: float
    clear: Side = lambda: None
    """Called before each timing: what an earlier one left on disk is not part of it."""


def main() -> None:
    """Measure, print and write the ratios."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        cases = {**store_cases(folder), **synthesis_cases(folder)}
        ratios = {}
        with progress("measuring, rounds", ROUNDS * len(cases)) as advance:
            for what, case in cases.items():
                ratios[what] = measured(case, advance)
    report = {"format": FORMAT, "hardware": hardware(), "commit": git_revision(), "ratios": ratios}
    write_json(RESULT, report)
    show(ratios)


def measured(case: Case, advance: Callable[[int], None]) -> dict[str, float | bool]:
    """Return the ratio of the fastest times, that of the medians, and the goal; which side goes first alternates."""
    times: dict[Side, list[float]] = {case.plain: [], case.ours: []}
    for index in range(ROUNDS):
        for side in (case.plain, case.ours) if index % 2 else (case.ours, case.plain):
            times[side].append(seconds(side, case.clear))
        advance(1)
    return {
        "value": round(min(times[case.plain]) / min(times[case.ours]), 3),
        "of_medians": round(statistics.median(times[case.plain]) / statistics.median(times[case.ours]), 3),
        "goal": case.goal,
        "at_least": True,
    }


def seconds(side: Side, clear: Side) -> float:
    """Return how long one call takes, on a disk that has nothing else to do."""
    clear()
    os.sync()
    began = time.perf_counter()
    side()
    return time.perf_counter() - began


def store_cases(folder: Path) -> dict[str, Case]:
    """Write and read 1 GiB of latents: our store against one raw file, both with fsync; batches against a tensor."""
    rows = np.random.default_rng(0).standard_normal((STORE_ROWS, *SHAPE), np.float32).astype(np.float16)
    raw, store, written = folder / "raw", folder / "store", folder / "written"
    write_raw(raw, rows)
    write_store(store, rows)
    pool, tensor = RowPool(store), torch.from_numpy(rows)
    batches = list(torch.randperm(STORE_ROWS).split(BATCH_ROWS))[:BATCHES]

    def clear() -> None:
        shutil.rmtree(written, ignore_errors=True)
        written.mkdir()

    return {
        "store_write_vs_raw_file": Case(
            lambda: write_raw(written / "raw", rows), lambda: write_store(written / "store", rows), 0.9, clear
        ),
        "store_read_vs_raw_file": Case(lambda: np.fromfile(raw, np.float16), lambda: Store(store).latents(), 0.9),
        "shuffled_batches_vs_tensor_in_memory": Case(
            lambda: [tensor[batch].float() for batch in batches],
            lambda: [torch.from_numpy(pool.take(batch.numpy())).float() for batch in batches],
            0.8,
        ),
    }


def synthesis_cases(folder: Path) -> dict[str, Case]:
    """Make rows: mixup against writing the same bytes raw, perturb against plain NumPy row by row."""
    torch.set_num_threads(1)
    parents = Parents(id_latents(folder / "id"), torch.device("cpu"))
    mixup, perturb = Mixup(parents, MIXUP), Perturb(parents, PERTURB)
    rows = np.zeros((BLOCKS * BLOCK_ROWS, *SHAPE), np.float16)
    return {
        "mixup_vs_raw_write_of_its_rows": Case(
            lambda: write_raw(folder / "rows", rows),
            lambda: [mixup.block(block_rows(block), block_generator(0, "mixup", block)) for block in range(BLOCKS)],
            1 / 1.5,
        ),
        "perturb_vs_plain_numpy": Case(
            lambda: plain_perturb(parents),
            lambda: perturb.block(block_rows(0), block_generator(0, "perturb", 0)),
            10.0,
        ),
    }


def plain_perturb(parents: Parents) -> NDArray[np.float32]:
    """Make one block as one would write it first: for every row the distances of each candidate to its class."""
    rng = np.random.default_rng(0)
    values = parents.values.flatten(1).numpy()
    made = []
    for row in range(BLOCK_ROWS):
        bank = values[parents.members[row % CLASSES]]
        candidates = bank[rng.integers(len(bank))] + bank.std(0) * rng.standard_normal(
            (PERTURB.candidates, values.shape[1]), np.float32
        )
        reach = [np.sort(np.linalg.norm(bank - one, axis=1))[PERTURB.neighbours - 1] for one in candidates]
        made.append(candidates[int(np.argmax(reach))])
    return np.stack(made)


def id_latents(folder: Path) -> Latents:
    """Return random ID latents of several classes, through a store as everywhere."""
    rows = np.random.default_rng(0).standard_normal((ID_ROWS, *SHAPE), np.float32).astype(np.float16)
    labels = (np.arange(ID_ROWS) % CLASSES).astype(np.int32)
    write_store(folder, rows, labels)
    return load_id_train(folder)


def write_store(folder: Path, rows: NDArray[np.float16], labels: NDArray[np.int32] | None = None) -> None:
    """Write a whole store of latents, from nothing."""
    labels = np.zeros(len(rows), np.int32) if labels is None else labels
    columns: dict[str, NDArray[Any]] = {"label": labels, "content": np.arange(len(rows), dtype=np.int64)}
    writer = StoreWriter(folder, len(rows), SHAPE, {name: column.dtype for name, column in columns.items()})
    for shard, here in enumerate(writer.shards):
        part = slice(here.start, here.stop)
        writer.write_shard(shard, rows[part], {name: column[part] for name, column in columns.items()})
    names = tuple(str(label) for label in range(CLASSES))
    writer.finish(kind="latents", space=SPACE, standardisation=UNIT, class_names=names, provenance={})


def write_raw(path: Path, rows: NDArray[np.float16]) -> None:
    """Write the bytes of `rows` and have them on disk."""
    with path.open("wb") as stream:
        rows.tofile(stream)
        stream.flush()
        os.fsync(stream.fileno())


def hardware() -> str:
    """Return what computed: processor, cores, versions."""
    cores = len(os.sched_getaffinity(0))
    return f"{processor()}, {cores} cores, Python {platform.python_version()}, torch {torch.__version__}"


def show(ratios: dict[str, dict[str, float | bool]]) -> None:
    """Print the ratios beside their goals."""
    table = Table(title=f"ratios, written to {RESULT}")
    for name in ("what", "ratio", "of medians", "goal", "reached"):
        table.add_column(name)
    for what, found in ratios.items():
        reached = found["value"] >= found["goal"]
        told = "yes" if reached else "[red]no[/red]"
        table.add_row(what, f"{found['value']:.2f}", f"{found['of_medians']:.2f}", f">= {found['goal']:.2f}", told)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
