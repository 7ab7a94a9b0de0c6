"""The `latent-outliers` command: what is not a stage."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.command import PARAMS_FILE, ParamsFile, guard

if TYPE_CHECKING:
    from rich.console import Console

METRICS_FILE, QUALITY_FILE = Path("reports/metrics.json"), Path("reports/quality.json")
AUTOENCODER = Path("models/autoencoder")
StoreFolder = Annotated[Path, typer.Argument(help="A store: data/outliers/<method> or data/latents/<set>.")]
Repository = Annotated[str | None, typer.Option("--repo", help="Git repository, path or URL, whose store is meant.")]
Revision = Annotated[str | None, typer.Option("--rev", help="Commit, branch or tag; read without checking it out.")]
MetricsFile = Annotated[Path, typer.Option("--metrics", help="Metrics file that stage `score` wrote.")]
Decoder = Annotated[Path, typer.Option("--autoencoder", help="The autoencoder that decodes.")]
QualityFile = Annotated[Path, typer.Option("--report", help="Report that stage `quality` wrote.")]

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
    stores, sets = ", ".join(found.synthesize.stores), ", ".join(found.data.ood_sets())
    typer.echo(f"{params}: good; {len(found.seeds)} seeds, outliers {stores}, OOD sets {sets or 'none'}")


@app.command()
def preset(
    name: Annotated[str | None, typer.Argument(help="Preset to use; without a name all are listed.")] = None,
    params: ParamsFile = PARAMS_FILE,
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite parameters that are not committed.")] = False,
) -> None:
    """List the presets, or copy one over the parameter file and show what changes."""
    from pipeline.presets import available, print_presets, use_preset

    if name is None:
        print_presets(available(params), wide_console())
    elif use_preset(name, params, wide_console(), force=force):
        typer.echo(f"{params}: now preset {name}; `make repro` runs it")
    else:
        typer.echo(f"{params}: is preset {name} already")


@app.command()
def new_project(
    target: Annotated[Path, typer.Argument(help="Folder to make.")],
    images: Annotated[Path, typer.Option(help="Photographs, in one folder per class; perhaps in train/ and test/.")],
    near: Annotated[list[Path] | None, typer.Option(help="Folder of images that could be taken for a class.")] = None,
    far: Annotated[list[Path] | None, typer.Option(help="Folder of images of quite other things.")] = None,
) -> None:
    """Make a project for a folder of photographs: look through them, and fit the parameters to what is there."""
    from pipeline.new_project import new_project as make_project

    make_project(target, images, near or [], far or [], wide_console())


@app.command()
def results(
    metrics: MetricsFile = METRICS_FILE,
    *,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Every score, not only the headline one.")] = False,
) -> None:
    """Print verdict and result table of the last run."""
    from pipeline.results import print_results

    print_results(metrics, wide_console(), all_scores=all_scores)


@app.command()
def quality(report: QualityFile = QUALITY_FILE) -> None:
    """Print what the outliers of each method are like, before anything was trained on them."""
    from pipeline.results import print_quality

    print_quality(report, wide_console())


@app.command()
def compare(
    revisions: Annotated[list[str], typer.Argument(help="Commits, branches, tags or DVC experiments; or `workspace`.")],
    score: Annotated[list[str] | None, typer.Option(help="Score to compare by, several times for several.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare the detectors of runs side by side, with paired intervals; a single one is compared with what is here."""
    import json

    from pipeline.compare import WORKSPACE, load_run
    from pipeline.compare import compare as compare_runs
    from pipeline.comparison_table import print_comparison

    names = revisions if len(revisions) > 1 else [*revisions, WORKSPACE]
    report = compare_runs([load_run(name) for name in names], score or ())
    if as_json:
        typer.echo(json.dumps(report, indent=2, sort_keys=True, default=str))  # YAML has dates
    else:
        print_comparison(report, wide_console())


@app.command()
def verify(path: StoreFolder, repo: Repository = None, rev: Revision = None) -> None:
    """Check every byte of a store of latents or outliers against its manifest."""
    import time

    from pipeline.progress import progress
    from pipeline.sharing.revision import open_store

    began = time.perf_counter()
    store = open_store(path, repo, rev)
    with progress(f"verifying {store.source}, bytes", store.total_bytes) as advance:
        store.verify(advance)
    seconds, size = time.perf_counter() - began, store.total_bytes
    typer.echo(
        f"{store.source}: whole; {store.rows} rows of {store.header.kind} in {store.manifest.shards} shards, "
        f"{size:,} bytes in {len(store.manifest.files)} files, {seconds:.2f} s, {seconds * 2**30 / size:.2f} s per GiB"
    )


@app.command()
def inspect(
    path: StoreFolder,
    repo: Repository = None,
    rev: Revision = None,
    pairs: Annotated[int, typer.Option(min=1, help="Class pairs to print, the largest first.")] = 20,
    rows: Annotated[int, typer.Option(min=0, help="Rows to decode into the picture; 0 draws none.")] = 48,
    picture: Annotated[Path | None, typer.Option(help="PNG to write; by default reports/inspect/<store>.png.")] = None,
    autoencoder: Decoder = AUTOENCODER,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, draw nothing.")] = False,
) -> None:
    """Say what a store is, where it came from and what its rows are like, and draw some of them."""
    import json

    from pipeline.inspect import describe, draw_rows, load_decoder, print_description
    from pipeline.sharing.revision import open_store

    store = open_store(path, repo, rev)
    report = describe(store)
    if as_json:
        typer.echo(json.dumps(report, indent=2, sort_keys=True))
        return
    print_description(report, pairs, wide_console())
    if not autoencoder.is_dir():
        typer.echo(f"no picture: {autoencoder} is not here; `dvc pull autoencoder` fetches it")
    elif rows:
        drawn = picture or Path("reports/inspect") / f"{path.name}.png"
        draw_rows(drawn, store, load_decoder(autoencoder, store), rows)
        typer.echo(f"decoded rows: {drawn}")


@app.command()
def export(
    path: StoreFolder,
    to: Annotated[Path, typer.Option(help="Folder to make: images/, list.txt (OpenOOD's format) and export.json.")],
    repo: Repository = None,
    rev: Revision = None,
    image_format: Annotated[
        Literal["png", "jpeg"], typer.Option("--format", help="png, or jpeg, which leaves marks.")
    ] = "png",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows, evenly spaced; else all.")] = None,
    autoencoder: Decoder = AUTOENCODER,
) -> None:
    """Decode a store into an image folder with a list, so that any trainer that works on pixels can use it."""
    from pipeline.export import export_images
    from pipeline.files import require_new
    from pipeline.inspect import load_decoder
    from pipeline.sharing.revision import open_store

    require_new(to)
    store = open_store(path, repo, rev)
    images = export_images(store, load_decoder(autoencoder, store), to, image_format, limit)
    typer.echo(f"{to}: {images} images of {store.source}, named in {to / 'list.txt'}")


@app.command()
def remote_check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Outputs to check; by default all stores.")] = None,
    remote: Annotated[str | None, typer.Option(help="DVC remote; by default the default one.")] = None,
) -> None:
    """Compare every object of the stores with the remote, byte by byte; DVC itself trusts what is there."""
    from pipeline.sharing.remote import check_remote, print_findings

    targets = paths or [Path("data/latents"), Path("data/outliers")]
    print_findings(check_remote(remote, targets), wide_console())


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, such as models/bundle/0.")],
    images: Annotated[list[Path], typer.Argument(help="Images, and folders of them; PNG, JPEG and a few more.")],
    out: Annotated[str, typer.Option(help="File to write, .parquet or .csv; - prints.")] = "-",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass; changes no answer.")] = 64,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first image that cannot be read.")] = False,
) -> None:
    """Say of every image which class it shows, and whether it shows one at all."""
    if out != "-" and Path(out).suffix not in (".parquet", ".csv"):
        raise typer.BadParameter(f"{out!r} ends in neither .parquet nor .csv", param_hint="--out")
    from pipeline.detector.predict import predict_files

    target = None if out == "-" else Path(out)
    predict_files(bundle, images, target, batch_size=batch_size, strict=strict)


def wide_console() -> "Console":
    """Return where tables are printed: the terminal, or 150 columns where there is none."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=150)


def main() -> None:
    """Run the command line."""
    guard(app)
