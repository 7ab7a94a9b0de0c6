"""The commands that use the detector of a run."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.runtime.text.terminal import Console, say

PANEL = "Use its detector"
"""What these commands are for: their group in `--help`."""

METRICS_FILE = Path("reports/metrics.json")
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


@commands.command(
    rich_help_panel=PANEL, epilog="Example: latent-outliers export-onnx models/bundle/0 --out detector.onnx"
)
def export_onnx(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, such as models/bundle/0.")],
    out: Annotated[Path, typer.Option(help="File to write, .onnx; a .json and a .md are written beside it.")],
    weights: Annotated[
        Literal["float32", "float16", "int8"], typer.Option(help="How weights are stored: smaller files, as fast.")
    ] = "float32",
    compare: Annotated[
        list[Path] | None, typer.Option(help="Images, or a folder of them, on which file and bundle are compared.")
    ] = None,
    *,
    fetch_encoder: Annotated[
        bool, typer.Option("--fetch-encoder", help="Fetch the encoder from the hub, where the bundle leaves it out.")
    ] = False,
) -> None:
    """Write a bundle as one ONNX graph, from pixels to the decision, for onnxruntime in any language."""
    if out.suffix != ".onnx":
        raise typer.BadParameter(f"{str(out)!r} does not end in .onnx", param_hint="--out")
    from pipeline.detector.as_onnx.export import export_onnx as write_onnx
    from pipeline.detector.detector import Detector

    detector = Detector.load(bundle, device="cpu", fetch_encoder=fetch_encoder)
    agreed = write_onnx(detector, out, weights, compare)
    say(f"{out}: {out.stat().st_size:,} bytes; {agreed}")
    say(f"beside it: {out.with_suffix('.json').name} for programs, {out.with_suffix('.md').name} for people")
