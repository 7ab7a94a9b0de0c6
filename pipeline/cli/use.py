"""The commands that use the detector of a run."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.runtime.text.terminal import Console, say, warn

if TYPE_CHECKING:
    from pipeline.detector.detector import Detector

PANEL = "Use its detector"
"""What these commands are for: their group in `--help`."""

METRICS_FILE = Path("reports/metrics.json")
BundleFolder = Annotated[Path, typer.Argument(help="Folder of a bundle, such as models/bundle/0.")]
Images = Annotated[list[Path], typer.Argument(help="Images and folders of images; docs/images.md has the formats.")]
FetchEncoder = Annotated[
    bool, typer.Option("--fetch-encoder", help="Fetch the encoder from the hub, where the bundle leaves it out.")
]
Reject = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Share of known images to reject at most, in place of the bundle's threshold."),
]
Threshold = Annotated[float | None, typer.Option(help="Score above which an image is an outlier, in place of it.")]
MetricsFile = Annotated[Path, typer.Option("--metrics", help="Metrics file that stage `score` wrote.")]
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL, epilog="Example: latent-outliers results --all-scores")
def results(
    metrics: MetricsFile = METRICS_FILE,
    *,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Every score, not only the headline one.")] = False,
) -> None:
    """Print the verdict and the result table of the last run."""
    from pipeline.report.tables import print_results

    print_results(metrics, Console(), all_scores=all_scores)


@commands.command(
    rich_help_panel=PANEL, epilog="Example: latent-outliers predict models/bundle/0 ../new --out answers.csv"
)
def predict(
    bundle: BundleFolder,
    images: Images,
    out: Annotated[str, typer.Option(help="File to write, .parquet or .csv; - prints.")] = "-",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass; does not change the results.")] = 64,
    reject: Reject = None,
    threshold: Threshold = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first image that cannot be read.")] = False,
    fetch_encoder: FetchEncoder = False,
) -> None:
    """Predict for every image its class, and whether it is OOD."""
    _require_one_of(reject, threshold)
    if out != "-" and Path(out).suffix not in (".parquet", ".csv"):
        raise typer.BadParameter(f"{out!r} ends in neither .parquet nor .csv", param_hint="--out")
    from pipeline.detector.predict import predict_files

    target = None if out == "-" else Path(out)
    load = partial(_detector, bundle, reject, threshold, fetch_encoder=fetch_encoder)
    predict_files(load, images, target, batch_size=batch_size, strict=strict)


@commands.command(
    rich_help_panel=PANEL, epilog="Example: latent-outliers export-onnx models/bundle/0 --out detector.onnx"
)
def export_onnx(
    bundle: BundleFolder,
    out: Annotated[Path, typer.Option(help="File to write, .onnx; a .json and a .md are written beside it.")],
    weights: Annotated[
        Literal["float32", "float16", "int8"], typer.Option(help="How weights are stored: smaller files, as fast.")
    ] = "float32",
    compare: Annotated[
        list[Path] | None, typer.Option(help="Images, or a folder of them, on which file and bundle are compared.")
    ] = None,
    reject: Reject = None,
    threshold: Threshold = None,
    *,
    fetch_encoder: FetchEncoder = False,
) -> None:
    """Write a bundle as one ONNX graph, from pixels to the decision, for onnxruntime in any language."""
    _require_one_of(reject, threshold)
    if out.suffix != ".onnx":
        raise typer.BadParameter(f"{str(out)!r} does not end in .onnx", param_hint="--out")
    from pipeline.detector.as_onnx.export import export_onnx as write_onnx

    detector = _detector(bundle, reject, threshold, fetch_encoder=fetch_encoder, device="cpu")
    agreed = write_onnx(detector, out, weights, compare)
    say(f"{out}: {out.stat().st_size:,} bytes; {agreed}")
    say(f"beside it: {out.with_suffix('.json').name} for programs, {out.with_suffix('.md').name} for people")


@commands.command(
    rich_help_panel=PANEL, epilog="Example: latent-outliers refit models/bundle/0 ../new_camera --out ../bundle"
)
def refit(
    bundle: BundleFolder,
    images: Images,
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    reject: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the images to reject at most; by default the bundle's.")
    ] = None,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Let scores such as k-NN compare with every second image from now on.")
    ] = False,
    fetch_encoder: FetchEncoder = False,
) -> None:
    """Fit the threshold of a bundle to images of its classes, as of another camera, and write a new bundle."""
    from pipeline.detector.listing import count_images, image_files

    count_images(images)
    detector = _detector(bundle, None, None, fetch_encoder=fetch_encoder)
    files = list(image_files(images))
    decision = detector.refit(files, out, rejected=reject, keep=keep).bundle.card.decision
    rejected = f"{decision.id_rejection_validation:.1%} of {decision.validation_images:,} images"
    say(f"{out}: above {decision.threshold:.6g} an image is an outlier, which rejects {rejected}")
    say(f"before, it was above {detector.threshold:.6g}; networks and classes are those of {bundle}")


def _require_one_of(reject: float | None, threshold: float | None) -> None:
    if reject is not None and threshold is not None:
        raise typer.BadParameter("give one of them, not both", param_hint="--reject and --threshold")


def _detector(
    bundle: Path, reject: float | None, threshold: float | None, *, fetch_encoder: bool, device: str | None = None
) -> "Detector":
    """Load a bundle, and give it the threshold that the options ask for."""
    from pipeline.detector.detector import Detector

    detector = Detector.load(bundle, device=device, fetch_encoder=fetch_encoder)
    known = len(detector.bundle.id_scores)
    if reject is not None and 0 < reject < 1 / known:
        warn(f"warning: {reject} of the bundle's {known:,} known images is less than one, so that none is rejected")
    try:
        if threshold is not None:
            return detector.with_threshold(threshold)
        return detector if reject is None else detector.rejecting(reject)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--reject or --threshold") from error
