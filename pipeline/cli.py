"""The `latent-outliers` command: everything that is not a stage."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.runtime.code import has_other_code
from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run_app
from pipeline.runtime.text.terminal import Console, say, warn

METRICS_FILE, QUALITY_FILE = Path("reports/metrics.json"), Path("reports/quality.json")
ENCODER = Path("models/encoder")
STORE = "A store: data/outliers/<method> or data/latents/<set>"
StoreFolder = Annotated[Path, typer.Argument(help=f"{STORE}.")]
Described = Annotated[Path, typer.Argument(help=f"{STORE}; or models/encoder.")]
VerifiedStore = Annotated[Path | None, typer.Argument(help="A store; by default every output of the project.")]
Repository = Annotated[str | None, typer.Option("--repo", help="Git repository, path or URL, whose store is meant.")]
Revision = Annotated[str | None, typer.Option("--rev", help="Commit, branch or tag; read without checking it out.")]
MetricsFile = Annotated[Path, typer.Option("--metrics", help="Metrics file that stage `score` wrote.")]
Decoder = Annotated[Path, typer.Option("--encoder", help="The encoder that decodes.")]
ENCODER_CHOICES = (
    "What turns images into latents. `supervised` or `trained`: a small classifier or autoencoder, trained on the "
    "photographs. A folder, or an id on the hub (perhaps id@revision): a pretrained vision backbone of transformers. "
    "By default facebook/dinov2-small where the extra `pretrained` is installed and the hub or its cache has it, else "
    "`supervised`."
)
QualityFile = Annotated[Path, typer.Option("--report", help="Report that stage `quality` wrote.")]
START, USE, STUDY, SHARE, DEVELOP = "Start a run", "Use its detector", "Study it", "Share it", "Change the code"
"""What a command is for: the groups of `--help`."""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def of_all_commands(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print version and place of the code.")] = False,
) -> None:
    """Teach an image classifier what it does not know. `dvc repro` runs the stages; these commands do the rest."""
    from importlib.metadata import version as version_of

    if version:
        say(f"latent-outliers {version_of('latent-outliers')}, code in {Path(__file__).parent}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(*context.get_help().splitlines())


@app.command(rich_help_panel=START, epilog="Example: latent-outliers check")
def check(params: ParamsPath = PARAMS_FILE) -> None:
    """Check the whole parameter file, and whether there are enough images, memory and disk, before any stage runs."""
    from pipeline.commands.check import check as check_params

    all_params, elsewhere = check_params(params)
    stores, sets = ", ".join(all_params.synthesize.names), ", ".join(all_params.data.ood_sets())
    say(f"{params}: good; {len(all_params.seeds)} seeds, outliers {stores}, OOD sets {sets or 'none'}")
    if elsewhere:
        say(f"not on this machine, so their images were not counted: {', '.join(elsewhere)}")


@app.command(rich_help_panel=START, epilog="Example: latent-outliers preset fashion_mnist")
def preset(
    name: Annotated[str | None, typer.Argument(help="Preset to use; without a name all are listed.")] = None,
    params: ParamsPath = PARAMS_FILE,
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite parameters that are not committed.")] = False,
) -> None:
    """List the presets, or copy one over the parameter file and show what changes."""
    from pipeline.commands.presets import available, print_presets, use_preset

    if name is None:
        print_presets(available(params), Console())
    elif use_preset(name, params, Console(), force=force):
        say(f"{params}: now preset {name}; `make repro` runs it")
    else:
        say(f"{params}: is preset {name} already")


@app.command(
    rich_help_panel=START,
    epilog="Example: latent-outliers new-project ../owls --images ../photos --near ../other-birds",
)
def new_project(
    target: Annotated[Path, typer.Argument(help="Folder to make.")],
    images: Annotated[Path, typer.Option(help="Photographs, in one folder per class; perhaps in train/ and test/.")],
    near: Annotated[list[Path] | None, typer.Option(help="Folder of images that could be taken for a class.")] = None,
    far: Annotated[list[Path] | None, typer.Option(help="Folder of images of entirely different things.")] = None,
    encoder: Annotated[str | None, typer.Option(help=ENCODER_CHOICES)] = None,
    *,
    leave_out_small: Annotated[
        bool, typer.Option("--leave-out-small", help="Hold out classes with too few images to train and test on.")
    ] = False,
) -> None:
    """Make a project for a folder of photographs, with parameters that fit the images."""
    from pipeline.commands.new_project import new_project as make_project
    from pipeline.commands.photo_folders import ImageFolders

    folders = ImageFolders(images, near or (), far or ())
    make_project(target, folders, Console(), encoder=encoder, leave_out_small=leave_out_small)


@app.command(rich_help_panel=USE, epilog="Example: latent-outliers results --all-scores")
def results(
    metrics: MetricsFile = METRICS_FILE,
    *,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Every score, not only the headline one.")] = False,
) -> None:
    """Print the verdict and the result table of the last run."""
    from pipeline.report.tables import print_results

    print_results(metrics, Console(), all_scores=all_scores)


@app.command(rich_help_panel=STUDY, epilog="Example: latent-outliers quality")
def quality(report: QualityFile = QUALITY_FILE) -> None:
    """Print the quality of the outliers of each method, measured before any training."""
    from pipeline.report.tables import print_quality

    print_quality(report, Console())


@app.command(rich_help_panel=STUDY, epilog="Example: latent-outliers compare HEAD my-experiment")
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


@app.command(
    rich_help_panel=SHARE, epilog="Example: latent-outliers verify data/outliers/perturb --repo ../theirs --rev v2"
)
def verify(path: VerifiedStore = None, repo: Repository = None, rev: Revision = None) -> None:
    """Check every byte of a store against its manifest; without a path, of every output of the project."""
    if path is None:
        if repo is not None or rev is not None:
            raise typer.BadParameter("wants the path of a store in it", param_hint="--repo or --rev")
        from pipeline.commands.verify import verify_project

        verify_project(Console())
        return
    import time

    from pipeline.runtime.progress import progress
    from pipeline.sharing.revision import open_store

    began = time.perf_counter()
    store = open_store(path, repo, rev)
    with progress(f"verifying {store.source}, bytes", store.total_bytes) as advance:
        store.verify(advance)
    seconds, size = time.perf_counter() - began, store.total_bytes
    say(
        f"{store.source}: whole; {store.rows} rows of {store.header.kind} in {store.manifest.shards} shards, "
        f"{size:,} bytes in {len(store.manifest.files)} files, {seconds:.2f} s, {seconds * 2**30 / size:.2f} s per GiB"
    )


@app.command(rich_help_panel=STUDY, epilog="Example: latent-outliers inspect data/outliers/perturb --rows 12")
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


@app.command(
    rich_help_panel=STUDY, epilog="Example: latent-outliers export data/outliers/perturb --to pictures --limit 100"
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


@app.command(rich_help_panel=SHARE, epilog="Example: latent-outliers remote-check data/outliers/perturb")
def remote_check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Outputs to check; by default all.")] = None,
    remote: Annotated[str | None, typer.Option(help="DVC remote; by default the default one.")] = None,
) -> None:
    """Compare every object of all outputs with the remote, byte by byte; `dvc push` checks only the listings."""
    from pipeline.sharing.remote import check_remote, print_remote_report

    print_remote_report(check_remote(remote, paths or [Path()]), Console())


@app.command(rich_help_panel=USE, epilog="Example: latent-outliers predict models/bundle/0 ../new --out answers.csv")
def predict(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, such as models/bundle/0.")],
    images: Annotated[list[Path], typer.Argument(help="Images and folders of images; docs/images.md has the formats.")],
    out: Annotated[str, typer.Option(help="File to write, .parquet or .csv; - prints.")] = "-",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass; does not change the results.")] = 64,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first image that cannot be read.")] = False,
    fetch_encoder: Annotated[
        bool, typer.Option("--fetch-encoder", help="Fetch the encoder from the hub, where the bundle leaves it out.")
    ] = False,
) -> None:
    """Predict for every image its class, and whether it is OOD."""
    if out != "-" and Path(out).suffix not in (".parquet", ".csv"):
        raise typer.BadParameter(f"{out!r} ends in neither .parquet nor .csv", param_hint="--out")
    from pipeline.detector.predict import predict_files

    target = None if out == "-" else Path(out)
    predict_files(bundle, images, target, batch_size=batch_size, strict=strict, fetch_encoder=fetch_encoder)


@app.command(rich_help_panel=DEVELOP, epilog="Example: latent-outliers dependencies")
def dependencies() -> None:
    """Write the code dependencies of each stage into dvc.yaml, from its imports; needed after changes to the code."""
    from pipeline.commands.dependencies import PIPELINE, write_dependencies

    changed = write_dependencies()
    say(f"{PIPELINE}: {'code dependencies written' if changed else 'code dependencies are up to date'}")


def main() -> None:
    """Run the command line."""
    warn_of_other_code()
    run_app(app)


def warn_of_other_code() -> None:
    """Say so where the project in this folder has other code, which its stages run; it is not run unasked."""
    if has_other_code(Path.cwd()):
        advice = "run `python -m pipeline` here in place of `latent-outliers` to use it"
        warn(f"warning: {Path.cwd()} has code of its own, and this is other code, in {Path(__file__).parent}; {advice}")
