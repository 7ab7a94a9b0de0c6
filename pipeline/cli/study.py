"""The commands that study a run."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.stores import STORE, Repository, Revision
from pipeline.runtime.text.terminal import Console, say

PANEL = "Study it"
"""What these commands are for: their group in `--help`."""

QUALITY_FILE = Path("reports/quality.json")
ENCODER = Path("models/encoder")
QualityFile = Annotated[Path, typer.Option("--report", help="Report that stage `quality` wrote.")]
StoreFolder = Annotated[Path, typer.Argument(help=f"{STORE}.")]
Described = Annotated[Path, typer.Argument(help=f"{STORE}; or models/encoder.")]
Decoder = Annotated[Path, typer.Option("--encoder", help="The encoder that decodes.")]
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL, epilog="Example: latent-outliers quality")
def quality(report: QualityFile = QUALITY_FILE) -> None:
    """Print the quality of the outliers of each method, measured before any training."""
    from pipeline.report.tables import print_quality

    print_quality(report, Console())


@commands.command(rich_help_panel=PANEL, epilog="Example: latent-outliers compare HEAD my-experiment")
def compare(
    revisions: Annotated[list[str], typer.Argument(help="Commits, branches, tags or DVC experiments; or `workspace`.")],
    score: Annotated[list[str] | None, typer.Option(help="Score to compare by; can be given several times.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare the detectors of runs, with paired intervals; a single run is compared with the workspace."""
    import json

    from pipeline.commands.compare import WORKSPACE, load_run
    from pipeline.commands.compare import compare as compare_runs
    from pipeline.report.comparison import print_comparison

    names = revisions if len(revisions) > 1 else [*revisions, WORKSPACE]
    report = compare_runs([load_run(name) for name in names], score or ())
    if as_json:
        say(*json.dumps(report, indent=2, sort_keys=True, default=str).splitlines())  # YAML has dates
    else:
        print_comparison(report, Console())


@commands.command(rich_help_panel=PANEL, epilog="Example: latent-outliers inspect data/outliers/perturb --rows 12")
def inspect(
    path: Described,
    repo: Repository = None,
    rev: Revision = None,
    pairs: Annotated[int, typer.Option(min=1, help="Class pairs to print, the largest first.")] = 20,
    rows: Annotated[int, typer.Option(min=0, help="Rows to decode into the picture; 0 draws none.")] = 48,
    picture: Annotated[Path | None, typer.Option(help="PNG to write; by default reports/inspect/<store>.png.")] = None,
    encoder: Decoder = ENCODER,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, draw nothing.")] = False,
) -> None:
    """Describe a store: its origin and statistics of its rows; draw some rows. Describe an encoder and its speed."""
    import json

    from pipeline.commands.inspect import describe, draw_rows, load_origin, print_description
    from pipeline.commands.inspect_encoder import describe_encoder, is_encoder, print_encoder
    from pipeline.sharing.revision import open_store

    if repo is rev is None and is_encoder(path):
        described = describe_encoder(path)
        if as_json:
            say(*json.dumps(described, indent=2, sort_keys=True).splitlines())
        else:
            print_encoder(described, Console())
        return
    store = open_store(path, repo, rev)
    report = describe(store)
    if as_json:
        say(*json.dumps(report, indent=2, sort_keys=True).splitlines())
        return
    print_description(report, pairs, Console())
    if not encoder.is_dir():
        say(f"no picture: {encoder} is not here; `dvc pull encoder` fetches it")
    elif rows:
        origin = load_origin(encoder, store)
        if origin.encoder.can_decode:
            png_path = picture or Path("reports/inspect") / f"{path.name}.png"
            draw_rows(png_path, store, origin.encoder, rows)
            say(f"decoded rows: {png_path}")
        else:
            say(f"no picture: {encoder} is of kind {origin.card.model.kind}, which cannot decode")


@commands.command(
    rich_help_panel=PANEL, epilog="Example: latent-outliers export data/outliers/perturb --to pictures --limit 100"
)
def export(
    path: StoreFolder,
    to: Annotated[Path, typer.Option(help="Folder to make: images/, list.txt (OpenOOD's format) and export.json.")],
    repo: Repository = None,
    rev: Revision = None,
    image_format: Annotated[
        Literal["png", "jpeg"], typer.Option("--format", help="png, or jpeg, which leaves artefacts.")
    ] = "png",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Largest number of rows, evenly spaced; by default all.")
    ] = None,
    encoder: Decoder = ENCODER,
) -> None:
    """Decode a store into an image folder with a list, for any trainer that works on pixels."""
    from pipeline.commands.export import export_images
    from pipeline.commands.inspect import load_decoder
    from pipeline.runtime.files import require_new
    from pipeline.sharing.revision import open_store

    require_new(to)
    store = open_store(path, repo, rev)
    images = export_images(store, load_decoder(encoder, store), to, image_format, limit)
    say(f"{to}: {images} images of {store.source}, named in {to / 'list.txt'}")
