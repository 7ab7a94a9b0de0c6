"""The `latent-outliers` command: what is not a stage."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.command import PARAMS_FILE, ParamsFile, guard

METRICS_FILE = Path("reports/metrics.json")
StoreFolder = Annotated[Path, typer.Argument(help="A store: data/outliers/<method> or data/latents/<set>.")]
MetricsFile = Annotated[Path, typer.Option("--metrics", help="Metrics file that stage `score` wrote.")]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Teach an image classifier what it does not know. Stages run with `dvc repro`; this is for the rest.",
)


@app.command()
def check(params: ParamsFile = PARAMS_FILE) -> None:
    """Check the whole parameter file before any stage runs."""
    from pipeline.schema import load_all

    found = load_all(params)
    methods, sets = ", ".join(found.synthesize.methods), ", ".join(found.data.ood_sets())
    typer.echo(f"{params}: good; {len(found.seeds)} seeds, outliers by {methods}, OOD sets {sets or 'none'}")


@app.command()
def results(metrics: MetricsFile = METRICS_FILE) -> None:
    """Print the result table of the last run."""
    from rich.console import Console

    from pipeline.results import print_results

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    print_results(metrics, console)


@app.command()
def verify(path: StoreFolder) -> None:
    """Check every byte of a store of latents or outliers against its manifest."""
    import time

    from pipeline.progress import progress
    from pipeline.store.reader import Store

    began = time.perf_counter()
    store = Store(path)
    with progress(f"verifying {path}, bytes", store.total_bytes) as advance:
        store.verify(advance)
    seconds, size = time.perf_counter() - began, store.total_bytes
    typer.echo(
        f"{path}: whole; {store.rows} rows of {store.header.kind} in {store.manifest.shards} shards, {size:,} bytes "
        f"in {len(store.manifest.files)} files, {seconds:.2f} s, {seconds * 2**30 / size:.2f} s per GiB"
    )


def main() -> None:
    """Run the command line."""
    guard(app)
