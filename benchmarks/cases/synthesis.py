"""Make outliers, against writing the same bytes, against plain NumPy, and against decoding as many latents."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.cases.case import Case
from benchmarks.cases.encode import stable_diffusion_autoencoder
from benchmarks.cases.store import SHAPE, id_latents, random_rows, write_raw
from pipeline.latents.standardising import to_scaled
from pipeline.outliers.method import ANCESTRY, Method, Parents, block_generator, block_rows
from pipeline.outliers.methods.mixup import Mixup
from pipeline.outliers.methods.perturb import Perturb
from pipeline.outliers.rows import RowMaker, in_batches
from pipeline.params.methods.mixup import MixupParams
from pipeline.params.methods.perturb import PerturbParams
from pipeline.runtime.device import UNIT_THREADS, chosen_device, default_workers
from pipeline.store.fill import fill
from pipeline.store.format import BLOCK_ROWS, LATENT_DTYPE
from pipeline.store.writer import StoreWriter

ID_ROWS, CLASSES = 50_000, 100
STORE_ROWS = 32_768  # 256 MiB
PERTURB = PerturbParams(rows=1, neighbours=10, boundary_share=0.5, sigma=1.0, noise="diagonal", candidates=8)
MIXUP = MixupParams(rows=1, kinds=("linear", "masked"), classes=2, lam_min=0.3, lam_max=0.7)
BATCH_ROWS = 2048
BLOCKS = 8
PERTURBED = 2 * BATCH_ROWS
DECODED = 1


def synthesis_cases(folder: Path) -> dict[str, Case]:
    """Return the cases at 50,000 ID latents of 4 x 32 x 32 in 100 classes."""
    torch.set_num_threads(2)
    parents = Parents(id_latents(folder / "id", ID_ROWS, CLASSES), chosen_device())
    mixup, perturb = Mixup(parents, MIXUP), Perturb(parents, PERTURB)
    rows, encoder = random_rows(STORE_ROWS), stable_diffusion_autoencoder().to(chosen_device())
    latents = to_scaled(parents.values[:DECODED].cpu(), parents.header.standardisation).to(parents.values.device)
    written, held = folder / "made", parents.values.flatten(1).cpu().numpy()

    def clear() -> None:
        shutil.rmtree(written, ignore_errors=True)
        written.mkdir()

    def made(method: Method, blocks: int) -> None:
        for block in range(blocks):
            method.block(block_rows(block), block_generator(0, "bench", block))

    per_decoded = BLOCK_ROWS / DECODED
    return {
        "mixup_store_vs_raw_write_of_its_rows": Case(
            lambda: write_raw(written / "raw", rows),
            lambda: make_store(written / "store", "mixup", mixup),
            1 / 1.5,
            threads=UNIT_THREADS,
            clear=clear,
        ),
        "perturb_vs_plain_numpy": Case(
            lambda: plain_perturb(held, parents.members),
            lambda: side_by_side(perturb),
            10.0,
            rounds=3,
            work=PERTURBED // BLOCK_ROWS,
            threads=UNIT_THREADS,
        ),
        "mixup_rows_vs_decoding_them": Case(
            lambda: encoder.decode(latents), lambda: made(mixup, BLOCKS), 100.0, 3, BLOCKS * per_decoded
        ),
        "perturb_rows_vs_decoding_them": Case(
            lambda: encoder.decode(latents), lambda: made(perturb, BLOCKS), 100.0, 3, BLOCKS * per_decoded
        ),
    }


def workers() -> int:
    """Return how many the stage would have: one on a GPU, two on two cores."""
    return min(2, default_workers(chosen_device()))


def side_by_side(method: Method) -> None:
    """Make rows in as many threads as the stage would, and keep none."""
    with ThreadPoolExecutor(workers(), initializer=torch.set_num_threads, initargs=(UNIT_THREADS,)) as pool:
        latents = np.empty((PERTURBED, *SHAPE), LATENT_DTYPE)
        list(in_batches(RowMaker("perturb", method, 0), BATCH_ROWS, pool.map, range(PERTURBED), latents))


def make_store(folder: Path, name: str, method: Method) -> None:
    """Make a whole store as the stage does, from the method with its latents in memory to bytes on disk."""
    folder.mkdir()
    writer = StoreWriter(folder, STORE_ROWS, SHAPE, {**ANCESTRY, **method.extra_columns})
    with ThreadPoolExecutor(workers(), initializer=torch.set_num_threads, initargs=(UNIT_THREADS,)) as pool:
        fill(writer, partial(in_batches, RowMaker(name, method, 0), BATCH_ROWS, pool.map), name)
    header = method.parents.header  # type: ignore[attr-defined]  # both methods here have them
    writer.finish(
        kind="outliers",
        space=header.space,
        standardisation=header.standardisation,
        class_names=header.class_names,
        provenance={},
    )


def plain_perturb(values: NDArray[np.float32], members: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Make one block class by class as one would write it first: the distances of each candidate to its class."""
    rng = np.random.default_rng(0)
    made = []
    for label in range(CLASSES):
        bank = values[members[label]]
        count = len(range(label, BLOCK_ROWS, CLASSES))
        centres = bank[rng.integers(len(bank), size=count)][:, None]
        noise = bank.std(0) * rng.standard_normal((count, PERTURB.candidates, values.shape[1]), np.float32)
        for candidates in centres + noise:
            distances = np.stack([np.linalg.norm(bank - one, axis=1) for one in candidates])
            reach = np.sort(distances, axis=1)[:, PERTURB.neighbours - 1]
            made.append(candidates[int(reach.argmax())])
    return np.stack(made)
