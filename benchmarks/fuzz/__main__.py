"""Throw broken inputs at everything that reads files of strangers.

Run `python -m benchmarks.fuzz --inputs N`, 200,000 by default, of images, params.yaml, stores, outputs of stages,
bundles, tables and folders of images. Every input is a good one with bytes flipped, cut, repeated or spliced, with
values replaced, or with files removed, exchanged or replaced by links, pipes and folders. The digests in stores and
bundles are right again, as an attacker would make them. Bundles are read as far as a prediction.

A reader has to accept an input or raise its own error. Anything else counts as a failure, and so does an input that
takes over `SECONDS` or `MEMORY`, and one that makes Python start a process, compile code or unpickle. An input that
ends the process ends the run. Prints the counts; writes `benchmarks/results/fuzz.json`; exit code 1 when there was a
failure, with the first ones.
"""

import faulthandler
import gc
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.bench import hardware
from benchmarks.fuzz.bundles import bundle_readers
from benchmarks.fuzz.documents import document_readers
from benchmarks.fuzz.layouts import layout_readers
from benchmarks.fuzz.run import Outcome, Reader, fuzz
from benchmarks.fuzz.stores import store_readers
from benchmarks.fuzz.tables import table_readers
from benchmarks.fuzz.watch import MEMORY, SECONDS, limited_addresses
from pipeline.runtime.files import write_json
from pipeline.runtime.run_log import git_revision
from pipeline.schema.text import plain_yaml

RESULTS = Path("benchmarks/results/fuzz.json")
PARAMS, PHOTOGRAPHS = Path("params.yaml"), Path("presets/imagefolder.yaml")
MEMORY_DISK = Path("/dev/shm")  # noqa: S108  # a folder with a random name is made in it
"""A disk in memory, where there is one: every input is written to files."""


def main(
    inputs: int = 200_000,
    seed: int = 0,
    only: Annotated[str, typer.Option(help="Only readers with this text in their name; nothing is written.")] = "",
) -> None:
    """Fuzz every reader with its share of the inputs."""
    faulthandler.enable()  # says where a library ends the process
    began = time.perf_counter()
    found = list(_outcomes(inputs, seed, only))
    report = {
        "hardware": hardware(),
        "commit": git_revision(),
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
        "inputs": sum(outcome.counts.total() for outcome in found),
        "bounds": {"seconds": SECONDS, "mib": MEMORY // 2**20},
        "readers": {outcome.name: outcome.described() for outcome in found},
    }
    if not only:
        write_json(RESULTS, report)
    if any(outcome.failures for outcome in found):
        raise typer.Exit(1)


def all_readers(folder: Path, params: dict[str, Any], photographs: dict[str, Any]) -> Iterator[Reader]:
    """Yield every reader; inputs are written below `folder`. params: params.yaml; photographs: a source of them."""
    yield from document_readers(folder, params)
    yield from store_readers(folder)
    yield from table_readers(folder)
    yield from layout_readers(folder, photographs)
    yield from bundle_readers(folder, params["infer"])


def _outcomes(inputs: int, seed: int, only: str) -> Iterator[Outcome]:
    params = plain_yaml(PARAMS.read_text(encoding="utf-8"))
    photographs = plain_yaml(PHOTOGRAPHS.read_text(encoding="utf-8"))["data"]["sources"]["photos"]
    disk = MEMORY_DISK if MEMORY_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(dir=disk) as folder, chdir(folder):
        readers = list(all_readers(Path(folder), params, photographs))
        weights = sum(reader.weight for reader in readers)
        with limited_addresses():
            for reader in readers:
                if only in reader.name:
                    outcome = fuzz(reader, round(reader.weight / weights * inputs), seed)
                    _print(outcome)
                    gc.collect()
                    yield outcome


def _print(outcome: Outcome) -> None:
    counts = ", ".join(f"{count:,} {what}" for what, count in outcome.counts.items())
    measured = f"slowest {outcome.slowest:.2f} s, largest {outcome.largest / 2**20:.0f} MiB"
    typer.echo(f"{outcome.name}: {outcome.counts.total():,} inputs, {counts}; {measured}")
    for failure in outcome.failures[:5]:
        typer.echo(f"  {failure}", err=True)


if __name__ == "__main__":
    typer.run(main)
