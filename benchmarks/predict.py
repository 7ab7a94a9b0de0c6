"""`predict` on many images: how much memory it takes, and how fast it is against the networks alone.

Run `python -m benchmarks.predict models/bundle/0`. Peak memory is that of two processes which judge 10,000 and 100,000
PNG files of 32 pixels, and should be the same. Speed is (time of the networks on tensors that lie in memory) / (time of
reading PNG files, the same networks, scores and a Parquet file), each the fastest of several rounds that take turns.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.bench import hardware
from pipeline.detector.detector import BATCH_SIZE, Detector
from pipeline.detector.images import read_pixels
from pipeline.detector.listing import image_files
from pipeline.detector.output import open_output
from pipeline.detector.predict import predict_files, write_answers
from pipeline.files import write_json
from pipeline.latents import to_standardised
from pipeline.progress import progress
from pipeline.runlog import git_revision

FORMAT = "latent-outliers-predict-bench/1"
FEW, MANY, SIDE = 10_000, 100_000, 32
PER_FOLDER = 1_000
TIMED, ROUNDS = 3_200, 9
MOST_MEMORY, LEAST_SPEED = 1.05, 0.8
RESULT = Path("benchmarks/results/predict-cpu.json")


def main(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")] = Path("models/bundle/0"),
    child: Annotated[Path | None, typer.Option(help="Judge this folder and tell the peak memory.")] = None,
) -> None:
    """Measure, print and write memory and speed."""
    if child is not None:
        print(json.dumps(judged_in_this_process(bundle, child)))  # noqa: T201  # read by the process that started this
        return
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name) / "few", Path(name) / "many"
        write_images(few, FEW)
        write_images(many, MANY)
        speed = measured_speed(bundle, few, Path(name) / "answers.parquet")
        runs = {str(count): in_a_process(bundle, folder) for count, folder in ((FEW, few), (MANY, many))}
    ratio = runs[str(MANY)]["peak_mib"] / runs[str(FEW)]["peak_mib"]
    memory = {"value": round(ratio, 3), "goal": MOST_MEMORY, "at_least": False}
    ratios = {"peak_memory_of_100000_vs_10000_images": memory, "throughput_vs_bare_networks": speed}
    report = {"format": FORMAT, "hardware": hardware(), "commit": git_revision(), "runs": runs, "ratios": ratios}
    write_json(RESULT, report)
    print(json.dumps(report, indent=2, sort_keys=True))  # noqa: T201  # this is what it is run for


def write_images(folder: Path, count: int) -> None:
    """Write random images as PNG, 1,000 to a folder."""
    rng = np.random.default_rng(0)
    with progress(f"writing {folder.name} images", count) as advance:
        for start in range(0, count, PER_FOLDER):
            here = folder / f"{start // PER_FOLDER:03}"
            here.mkdir(parents=True)
            for index in range(start, start + PER_FOLDER):
                Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(here / f"{index:06}.png")
            advance(PER_FOLDER)


def measured_speed(bundle: Path, folder: Path, target: Path) -> dict[str, float | bool]:
    """Return the ratio of the fastest times of both sides, with their images per second, and the goal."""
    detector, files = Detector.load(bundle), list(islice(image_files([folder]), TIMED))
    pixels = torch.from_numpy(np.stack([read_pixels(file, detector.image_size) for file in files]))
    bare, ours = [], []
    for _ in range(ROUNDS):
        bare.append(seconds_of_networks(detector, pixels))
        ours.append(seconds_of_predict(detector, files, target))
    return {
        "value": round(min(bare) / min(ours), 3),
        "goal": LEAST_SPEED,
        "at_least": True,
        "bare_images_per_s": round(TIMED / min(bare)),
        "predict_images_per_s": round(TIMED / min(ours)),
    }


@torch.no_grad()
def seconds_of_networks(detector: Detector, pixels: torch.Tensor) -> float:
    """Return how long the autoencoder's encoder and the network take for all images, in the same batches."""
    standardisation = detector.bundle.card.network.standardisation
    began = time.perf_counter()
    for batch in pixels.split(BATCH_SIZE):
        detector.network(to_standardised(detector.autoencoder.encode(batch), standardisation))
    return time.perf_counter() - began


def seconds_of_predict(detector: Detector, files: list[Path], target: Path) -> float:
    """Return how long it takes from names of files to a Parquet file of answers."""
    began = time.perf_counter()
    with open_output(target) as output:
        write_answers(detector, files, output, lambda _: None, batch_size=BATCH_SIZE, strict=True)
    return time.perf_counter() - began


def in_a_process(bundle: Path, folder: Path) -> dict[str, float]:
    """Judge a folder in a process of its own, whose peak memory is only of this; return what it tells."""
    command = [sys.executable, "-m", "benchmarks.predict", str(bundle), "--child", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603  # this very file
    told: dict[str, float] = json.loads(done.stdout)
    return told


def judged_in_this_process(bundle: Path, folder: Path) -> dict[str, float]:
    """Judge a folder as the command does; return seconds, loading included, and peak memory."""
    began = time.perf_counter()
    predict_files(bundle, [folder], folder.with_suffix(".parquet"), batch_size=BATCH_SIZE, strict=True)
    return {"seconds": round(time.perf_counter() - began, 1), "peak_mib": round(peak_mib(), 1)}


def peak_mib() -> float:
    """Return the most memory that this process has held; Linux's getrusage would count that of who started it too."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    told = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return (told[0] if told else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


if __name__ == "__main__":
    typer.run(main)
