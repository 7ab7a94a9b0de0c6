"""A bundle as ONNX beside itself: bytes, answers and milliseconds per image, for every way to store the weights.

Run `python -m benchmarks.cases.exported NAME BUNDLE IMAGES`. Pictures lie in memory, decoded, and are asked one by one;
resizing is part of all. Written to `benchmarks/results/exported/NAME.json`.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bench import hardware
from pipeline.detector.as_onnx.agreement import Picture
from pipeline.detector.as_onnx.export import export_onnx
from pipeline.detector.as_onnx.weights import Weights
from pipeline.detector.detector import Detector
from pipeline.detector.listing import image_files
from pipeline.images.decode import decode_file, default_largest_pixels
from pipeline.networks.encoders.onnx_file import import_onnx
from pipeline.runtime.files import folder_bytes, write_json
from pipeline.runtime.run_log import git_revision

RESULTS = Path("benchmarks/results/exported")
ROUNDS, TIMED = 3, 100
"""Pictures whose answers are timed; all are compared."""


def main(
    name: Annotated[str, typer.Argument(help="Of the result.")],
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    images: Annotated[list[Path], typer.Argument(help="Images, and folders of them.")],
) -> None:
    """Measure, print and write."""
    detector = Detector.load(bundle, device="cpu")
    files = list(islice(image_files(images), TIMED))
    pictures = [np.asarray(decode_file(file, default_largest_pixels())) for file in files]
    found: dict[str, Any] = {"bundle": {"bytes": folder_bytes(bundle)}}
    asked: dict[str, Callable[[Picture], object]] = {"bundle": detector.predict}
    with tempfile.TemporaryDirectory() as folder:
        for weights in get_args(Weights):
            file = Path(folder) / f"{weights}.onnx"
            export_onnx(detector, file, weights, images)
            about = json.loads(file.with_suffix(".json").read_bytes())
            found[weights] = {key: about[key] for key in ("bytes", "agreement")}
            asked[weights] = _asker(file)
        for what, milliseconds in _timed(asked, pictures).items():
            found[what]["ms_per_image"] = milliseconds
    report = {"hardware": hardware(), "commit": git_revision(), "timed": len(pictures), "found": found}
    write_json(RESULTS / f"{name}.json", report)
    _print(found)


def _asker(file: Path) -> Callable[[Picture], object]:
    """Return a function that asks a graph, with as many threads as PyTorch has."""
    onnxruntime = import_onnx("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda picture: session.run(None, {"pixels": picture[None]})


def _timed(asked: dict[str, Callable[[Picture], object]], pictures: list[Picture]) -> dict[str, float]:
    """Return the median milliseconds of each for one picture; they take turns with all pictures.

    Not with each picture: threads of onnxruntime wait for work for a while, and slow down whoever comes next.
    """
    seconds: dict[str, list[float]] = {what: [] for what in asked}
    for _ in range(ROUNDS):
        for what, ask in asked.items():
            for number, picture in enumerate([pictures[0], *pictures]):
                began = time.perf_counter()
                ask(picture)
                if number:  # the first is a warm-up
                    seconds[what].append(time.perf_counter() - began)
    return {what: round(1000 * statistics.median(every), 2) for what, every in seconds.items()}


def _print(found: dict[str, Any]) -> None:
    table = Table("", "bytes", "ms per image", "other decisions", "other classes", "scores differ by")
    for what, entry in found.items():
        compared = entry.get("agreement", {})
        counts = [str(compared.get(key, "")) for key in ("other_decisions", "other_labels")]
        apart = f"{compared['median_difference']:.2g} to {compared['largest_difference']:.2g}" if compared else ""
        table.add_row(what, f"{entry['bytes']:,}", f"{entry['ms_per_image']:.2f}", *counts, apart)
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
