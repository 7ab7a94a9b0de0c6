"""What it costs to share outlier stores of 1 to 1,000 shards: write, hash, push, pull and verify.

Run `python -m benchmarks.scaling`; it takes ten minutes and 6 GB of disk, with `--large` 14 GB. Each store is shared by
two clones of a repository made for it, through a remote in a local folder; DVC runs as a command, start-up included. An
operation begins with its files out of memory and ends when what it wrote is on disk. Shards of two sizes tell cost per
shard from cost per byte. What the fit says of 1 TB and 100 TB is an extrapolation for one client on one local disk.
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from timeit import repeat
from typing import Annotated, Any, NamedTuple
from unittest import mock

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from benchmarks.bench import hardware
from benchmarks.cases.store import SPACE, UNIT
from pipeline.outliers.method import ANCESTRY
from pipeline.runtime.command import run
from pipeline.runtime.files import MANIFEST, folder_files, write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.run_log import git_revision
from pipeline.store import format as store_format
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter

FORMAT = "latent-outliers-scaling/1"
RESULT = Path("benchmarks/results/scaling-cpu.json")
SHAPE = (4, 16, 16)  # 2 KiB a row: images of 128 by 128 pixels, encoded 8 by 8 to one place
ROW_BYTES = store_format.LATENT_DTYPE.itemsize * int(np.prod(SHAPE))
SMALL, FULL = 2**20, store_format.SHARD_BYTES
OPERATIONS = ("write", "hash", "push", "push_again", "pull", "verify")
DVC_CONFIG = """\
[core]
    analytics = false
    check_update = false
    remote = folder
['remote "folder"']
    url = ../../remote
    verify = true
"""
LAUNCHER = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
sys.exit(code)
"""
"""A small process that starts DVC: the memory a process is said to have held begins with that of who started it."""


class Case(NamedTuple):
    """A store to share."""

    shard_bytes: int
    shards: int


def main(
    *,
    large: Annotated[bool, typer.Option("--large", help="Share 40 shards of full size too.")] = False,
    most: Annotated[int, typer.Option(help="Leave out stores of more small shards.")] = 1000,
    rounds: Annotated[int, typer.Option(help="Each figure is the median of so many.")] = 3,
    folder: Annotated[Path, typer.Option(help="Where to share: the disk that is measured.")] = Path(".work"),
    result: Annotated[Path, typer.Option(help="The file to write.")] = RESULT,
) -> None:
    """Measure, print and write what sharing costs."""
    cases = [Case(SMALL, shards) for shards in (1, 10, 100, 1000) if shards <= most]
    cases += [Case(FULL, shards) for shards in ((1, 10, 40) if large else (1, 10))]
    folder.mkdir(parents=True, exist_ok=True)
    with progress("sharing, operations", rounds * len(cases) * len(OPERATIONS)) as advance:
        found = [[share(case, folder, advance) for case in cases] for _ in range(rounds)]
    table = [medians(same) for same in zip(*found, strict=True)]
    fits = {operation: fit(operation, table) for operation in OPERATIONS}
    report = {
        "format": FORMAT,
        "hardware": hardware(),
        "file_system": file_system(folder),
        "commit": git_revision(),
        "rounds": rounds,
        "files_per_shard": len(ANCESTRY) + 1,
        "md5_seconds_per_gib": md5_seconds_per_gib(),
        "cases": table,
        "fit": fits,
        "extrapolation": {f"{size} TB": extrapolated(size, fits) for size in (1, 100)},
    }
    write_json(result, report)
    show(report, result)


def share(case: Case, parent: Path, advance: Callable[[int], None]) -> dict[str, Any]:
    """Share one store from a first clone to a second one, and return what each operation cost."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name).resolve()
        seconds, held = {}, {}
        for operation, (step, reads) in operations(case, folder).items():
            forget(reads)
            began = time.perf_counter()
            held[operation] = step()
            os.sync()
            seconds[operation] = time.perf_counter() - began
            advance(1)
        received, objects = folder / "second" / "outliers", folder_files(folder / "remote")
        files = folder_files(received)
        return {
            **case._asdict(),
            "gib": round(mib(files) / 1024, 6),
            "files": len(files),
            "objects": len(objects),
            "dir_object_mib": mib(file for file in objects if file.suffix == ".dir"),
            "hash_database_mib": mib(folder_files(folder / "first-SITE_CACHE")),
            "seconds": seconds,
            "dvc_mib": {operation: peak for operation, peak in held.items() if peak is not None},
            "opening": opening(received),
        }


def operations(case: Case, folder: Path) -> dict[str, tuple[Callable[[], float | None], Path]]:
    """Return what is done with a store, in this order, and where the files lie that it finds on disk only."""
    first, second, remote = folder / "first", folder / "second", folder / "remote"
    cache, received = first / ".dvc" / "cache", second / "outliers"
    repository(first)
    parts = rows_of(case)
    return {
        "write": (lambda: write(first / "outliers", case, parts), first),
        "hash": (lambda: dvc(first, "add", "outliers"), first / "outliers"),
        "push": (lambda: dvc(first, "push"), cache),
        "push_again": (lambda: dvc(first, "push"), cache),
        "pull": (lambda: dvc(clone(first, second), "pull"), remote),
        "verify": (lambda: Store(received).verify(lambda _: None), received),
    }


def rows_of(case: Case) -> dict[str, NDArray[Any]]:
    """Return rows from which shard i takes those from row i on: all shards differ, at no cost while writing.

    `seed` is the same in all rows, as in every store: DVC keeps its chunks once.
    """
    rows = case.shard_bytes // ROW_BYTES + case.shards
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 100, rows).astype(dtype) for name, dtype in ANCESTRY.items()}
    latent = rng.standard_normal((rows, *SHAPE), np.float32).astype(store_format.LATENT_DTYPE)
    return {**columns, "seed": np.zeros(rows, ANCESTRY["seed"]), "latent": latent}


def write(store: Path, case: Case, parts: dict[str, NDArray[Any]]) -> None:
    """Write a whole store of outliers, from nothing."""
    rows = case.shard_bytes // ROW_BYTES
    with mock.patch.object(store_format, "SHARD_BYTES", case.shard_bytes):
        writer = StoreWriter(store, rows * case.shards, SHAPE, ANCESTRY)
    for shard, here in enumerate(writer.shards):
        part = {name: values[shard : shard + len(here)] for name, values in parts.items()}
        writer.write_shard(shard, part.pop("latent"), part)
    space = SPACE.model_copy(update={"shape": SHAPE})
    writer.finish(kind="outliers", space=space, standardisation=UNIT, class_names=("a", "b"), provenance={})


def repository(folder: Path) -> None:
    """Make a git and DVC repository, whose remote is a folder beside it; what is read from there is checked."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    dvc(folder, "init", "--quiet")
    (folder / ".dvc" / "config").write_text(DVC_CONFIG, encoding="utf-8")


def clone(first: Path, second: Path) -> Path:
    """Commit what the first clone tracks, and clone it; return the second one, whose cache is empty."""
    git(first, "add", ".")
    git(first, "commit", "--quiet", "--message", "outliers")
    git(first.parent, "clone", "--quiet", first.name, second.name)
    return second


def git(folder: Path, *words: str) -> None:
    """Run git in `folder`, without the settings of this user."""
    who = {f"GIT_{role}_{what}": "bench@invalid" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    own = os.environ | who | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], cwd=folder, env=own, check=True)  # noqa: S603, S607  # whichever git the user runs


def dvc(folder: Path, *words: str) -> float:
    """Run dvc in a clone, with settings and known hashes of its own; return the most memory it held, in MiB."""
    own = {f"DVC_{what}_DIR": f"{folder}-{what}" for what in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG")}
    done = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-S", "-c", LAUNCHER, sys.executable, "-m", "dvc", *words],
        cwd=folder,
        env=os.environ | own | {"DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"dvc {' '.join(words)} failed:\n{done.stderr}")
    return float(done.stdout)


def forget(folder: Path) -> None:
    """Have all writes behind us, and the files of `folder` out of the system's file cache."""
    os.sync()
    for file in folder_files(folder):
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def mib(files: Iterable[Path]) -> float:
    """Return the size of some files, in MiB."""
    return round(sum(file.stat().st_size for file in files) / 2**20, 3)


def opening(store: Path) -> dict[str, float]:
    """Return what opening a store holds in memory, in the end and at most: its manifest is checked as a whole."""
    tracemalloc.start()
    opened = Store(store)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sizes = {"manifest_mib": mib([store / MANIFEST]), "held_mib": held / 2**20, "peak_mib": peak / 2**20}
    return {"seconds": min(repeat(lambda: Store(opened.source), number=1, repeat=3)), **sizes}


def medians(same: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a case with the medians of its rounds."""
    over = {
        what: {name: round(statistics.median(one[what][name] for one in same), 3) for name in same[0][what]}
        for what in ("seconds", "dvc_mib", "opening")
    }
    return {**same[0], **over}


def fit(operation: str, table: list[dict[str, Any]]) -> dict[str, float]:
    """Fit seconds = start + a shards + b GiB, and memory = start + c shards, none below 0, to the relative error."""
    seconds = np.array([row["seconds"][operation] for row in table])
    design = np.array([[1.0, row["shards"], row["gib"]] for row in table])
    (start, shard, gib), _ = nnls(design / seconds[:, None], np.ones(len(seconds)))
    error = np.abs(design @ [start, shard, gib] / seconds - 1).max()
    found = {"start": start, "per_shard": shard, "per_gib": gib, "worst_relative_error": error}
    if operation in table[0]["dvc_mib"]:
        held = np.array([row["dvc_mib"][operation] for row in table])
        (_, found["mib_per_shard"]), _ = nnls(design[:, :2] / held[:, None], np.ones(len(held)))
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def extrapolated(terabytes: int, fits: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return what the fits say of so many decimal terabytes in full shards."""
    gib = terabytes * 1e12 / 2**30
    shards = -(-terabytes * 10**12 // FULL)
    hours = {
        name: round((one["start"] + one["per_shard"] * shards + one["per_gib"] * gib) / 3600, 2)
        for name, one in fits.items()
    }
    memory = {name: round(one["mib_per_shard"] * shards / 1024, 1) for name, one in fits.items() if len(one) > 4}
    return {"shards": shards, "files": shards * (len(ANCESTRY) + 1), "hours": hours, "dvc_gib": memory}


def md5_seconds_per_gib() -> float:
    """Return how long one core takes for the MD5 of what is in memory: DVC takes it of every byte."""
    content = bytes(2**26)
    return round(16 * min(repeat(lambda: hashlib.md5(content, usedforsecurity=False), number=1, repeat=5)), 3)


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder lies on."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    return max((len(place), kind) for place, kind in mounts if folder.resolve().is_relative_to(place))[1]


def show(report: dict[str, Any], result: Path) -> None:
    """Print the cases, the fits, and what they say of larger stores."""
    cases = Table(title=f"seconds to share a store, written to {result}")
    for name in ("shards", "MiB", "files", "objects", *OPERATIONS):
        cases.add_column(name, justify="right")
    for row in report["cases"]:
        sizes = (str(row["shards"]), f"{row['gib'] * 1024:.0f}", str(row["files"]), str(row["objects"]))
        cases.add_row(*sizes, *(f"{row['seconds'][operation]:.2f}" for operation in OPERATIONS))
    larger = report["extrapolation"]
    fits = Table(title="seconds = start + a shards + b GiB; hours by it are an extrapolation, not a measurement")
    for name in ("operation", "start", "a", "b", "worst error", *(f"{size}, hours" for size in larger)):
        fits.add_column(name, justify="right")
    for operation, one in report["fit"].items():
        numbers = [f"{one[name]:.4f}" for name in ("start", "per_shard", "per_gib")]
        hours = [f"{said['hours'][operation]:.1f}" for said in larger.values()]
        fits.add_row(operation, *numbers, f"{one['worst_relative_error']:.0%}", *hours)
    Console(width=120).print(cases, fits)


if __name__ == "__main__":
    run(main)
