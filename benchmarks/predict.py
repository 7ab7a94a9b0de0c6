"""`predict` on many images: how much memory it takes, and how fast it is against the networks alone.

Run `python -m benchmarks.predict models/bundle/0`. Peak memory is that of all processes of the command on 10,000 and on
100,000 PNG files of 32 pixels, and should be the same. Speed is (time of the networks on tensors that lie in memory) /
(time of reading PNG files, the same networks, scores and a Parquet file), each the fastest of several rounds that take
turns: with the bundle, with the networks of preset `cifar10_small`, and with an encoder of the size of TAESD in
their place. The weights of these two are random: what they are does not change how long they take. The networks alone
run in the two ways there are, all cores on one batch or a batch for each core, and the faster one counts; the ratio to
the other is told too, and the ratio that is left when nothing is done beside the networks but to let Pillow decode the
files, as if that could be split among the cores without loss: none that reads files can do better.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from multiprocessing import active_children, current_process
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.bench import hardware
from benchmarks.cases.encode import tiny_autoencoder
from pipeline.commands.compose import load_preset
from pipeline.detector.bundle import BundleParts, write_bundle
from pipeline.detector.detector import BATCH_SIZE, Detector
from pipeline.detector.images import read_pixels
from pipeline.detector.listing import count_images, image_files
from pipeline.detector.predict import predicted_rows, prefetcher_for, write_rows
from pipeline.detector.prediction_file import open_output
from pipeline.detector.prefetch import PixelPrefetcher
from pipeline.images.image_set import from_8_bits
from pipeline.latents.standardising import to_standardised
from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder
from pipeline.networks.encoders.encoder import Encoder
from pipeline.networks.saved_network import NetworkCard, save_network
from pipeline.params.all_params import AllParams
from pipeline.posthoc.decision import Decision
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import NetworkOutputs
from pipeline.runtime.files import digest, folder_digest, write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.run_log import git_revision
from pipeline.store.format import LatentSpace, Standardisation
from pipeline.training.autoencoder import untrained

FORMAT = "latent-outliers-predict-bench/3"
FEW, MANY, SIDE = 10_000, 100_000, 32
PER_FOLDER = 1_000
TIMED, TIMED_WITH_TAESD, ROUNDS = 6_400, 640, 9
MOST_MEMORY, LEAST_SPEED = 1.05, 0.8
PRESET, ID_IMAGES = "cifar10_small", 9_000
RESULT = Path("benchmarks/results/predict-cpu.json")
IN_A_PROCESS = "import sys; from benchmarks.predict import predict_in_this_process as run; run(*sys.argv[1:])"
"""Not run as a module: processes that it starts would import this one, and PyTorch with it."""


def main(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.")] = Path("models/bundle/0"),
) -> None:
    """Measure, print and write memory and speed."""
    with tempfile.TemporaryDirectory() as name:
        few, many, preset, taesd = (Path(name) / part for part in ("few", "many", PRESET, "taesd"))
        write_images(few, FEW)
        write_images(many, MANY)
        params = load_preset(Path("presets") / f"{PRESET}.yaml")
        write_random_bundle(preset, params, preset_encoder(params))
        write_random_bundle(taesd, params, Encoder(tiny_autoencoder()))
        target = Path(name) / "answers.parquet"
        speeds = {
            "throughput_vs_bare_networks": measured_speed(bundle, few, target, TIMED),
            f"throughput_vs_bare_networks_of_{PRESET}": measured_speed(preset, few, target, TIMED),
            "throughput_vs_bare_networks_with_taesd": measured_speed(taesd, few, target, TIMED_WITH_TAESD),
        }
        runs = {str(count): in_a_process(bundle, folder) for count, folder in ((FEW, few), (MANY, many))}
    ratio = runs[str(MANY)]["peak_mib"] / runs[str(FEW)]["peak_mib"]
    memory = {"value": round(ratio, 3), "goal": MOST_MEMORY, "at_least": False}
    ratios = {"peak_memory_of_100000_vs_10000_images": memory, **speeds}
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


def preset_encoder(params: AllParams) -> Encoder:
    """Return the encoder of a preset before its training."""
    torch.manual_seed(0)
    return Encoder(DiffusersAutoencoder(untrained(params.encoder.trained, params.data.image_size)))


def write_random_bundle(folder: Path, params: AllParams, encoder: Encoder) -> None:
    """Write a bundle with the classifier of a preset as it is before any training."""
    models, size = folder.with_name(f"{folder.name}-models"), params.data.image_size
    shape = encoder.encode(torch.zeros(1, 3, size, size)).shape
    encoder.save(models / "encoder", size)
    made_by = folder_digest(models / "encoder")
    card = NetworkCard(
        role="detector",
        seed=0,
        network=params.teacher.network,
        head=params.train.head,
        space=LatentSpace(encoder=made_by, scaling_factor=1.0, image_size=size, shape=(shape[1], shape[2], shape[3])),
        standardisation=Standardisation(mean=(0.0,) * shape[1], std=(1.0,) * shape[1]),
        class_names=tuple("0123456789"),
    )
    network = card.build()
    save_network(models / "network", network, card, [])
    weights = (models / "network/model.safetensors").read_bytes()
    score, features = params.score.headline, torch.randn(ID_IMAGES, network.features)
    with torch.inference_mode():
        id_outputs = NetworkOutputs(network.eval().head(features).double(), features.double())
    labels = torch.arange(ID_IMAGES) % len(card.class_names)
    scorer = fit_scores(network, id_outputs, labels, id_outputs, params.infer, (score,))
    facts = {"threshold": 1.0, "id_rejection_target": 0.05, "id_rejection_validation": 0.05, "validation_images": 1}
    decision = Decision(seed=0, weights=digest(weights), score=score, **facts)
    parts = BundleParts(models / "encoder", weights, card, decision, scorer, np.zeros(1), "", None)
    write_bundle(folder, parts, "")


def measured_speed(bundle: Path, folder: Path, target: Path, count: int) -> dict[str, float | bool]:
    """Return the ratio of the fastest times of both sides on so many images, with images per second, and the goal."""
    detector, files = Detector.load(bundle), list(islice(image_files([folder]), count))
    pixels = np.stack([read_pixels(file, detector.image_size) for file in files])
    batches = torch.from_numpy(from_8_bits(pixels)).permute(0, 3, 1, 2).split(BATCH_SIZE)
    cores = torch.get_num_threads()
    times: dict[str, list[float]] = {"shared": [], "own": [], "predict": [], "decoding": []}
    with (
        prefetcher_for(detector, MANY, BATCH_SIZE) as prefetched,
        ThreadPoolExecutor(cores, "bare", torch.set_num_threads, (1,)) as side_by_side,
    ):
        sides: dict[str, Callable[[], object]] = {
            "predict": lambda: predicted(detector, files, prefetched, target),
            "shared": lambda: [networks(detector, batch) for batch in batches],
            "own": lambda: list(side_by_side.map(lambda batch: networks(detector, batch), batches)),
            "decoding": lambda: [np.asarray(Image.open(file)) for file in files],
        }
        for side in sides.values():
            side()  # once for all that is done once
        for _ in range(ROUNDS):
            for name, side in sides.items():
                times[name].append(seconds(side))
    shared, own, ours, decoding = (min(times[name]) for name in ("shared", "own", "predict", "decoding"))
    bare = min(shared, own)
    return {
        "value": round(bare / ours, 3),
        "most_that_decoding_leaves": round(bare / (bare + decoding / cores), 3),
        "value_with_cores_on_one_batch": round(shared / ours, 3),
        "goal": LEAST_SPEED,
        "at_least": True,
        "bare_images_per_s_with_cores_on_one_batch": round(count / shared),
        "bare_images_per_s_with_a_batch_per_core": round(count / own),
        "predict_images_per_s": round(count / ours),
    }


def seconds(side: Callable[[], object]) -> float:
    """Return how long one call takes."""
    began = time.perf_counter()
    side()
    return time.perf_counter() - began


@torch.inference_mode()
def networks(detector: Detector, batch: torch.Tensor) -> None:
    """Call the encoder and the network."""
    standardisation = detector.bundle.card.network.standardisation
    detector.network(to_standardised(detector.encoder.encode(batch), standardisation))


def predicted(detector: Detector, files: list[str], prefetched: PixelPrefetcher, target: Path) -> None:
    """Go from names of files to a Parquet file of answers."""
    with open_output(target, detector.threshold) as output:
        write_rows(predicted_rows(detector, files, prefetched, strict=True), output, lambda _: None)


def in_a_process(bundle: Path, folder: Path) -> dict[str, float]:
    """Judge a folder in a process of its own, whose peak memory is only of this; return what it tells."""
    command = [sys.executable, "-c", IN_A_PROCESS, str(bundle), str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603  # this very file
    told: dict[str, float] = json.loads(done.stdout)
    return told


def predict_in_this_process(bundle: str, folder: str) -> None:
    """Judge a folder as the command does; print seconds, loading included, and the peak memory of all processes."""
    began = time.perf_counter()
    images, detector = count_images([Path(folder)]), Detector.load(bundle)
    target = Path(folder).with_suffix(".parquet")
    with open_output(target, detector.threshold) as output, prefetcher_for(detector, images, BATCH_SIZE) as prefetched:
        write_rows(
            predicted_rows(detector, image_files([Path(folder)]), prefetched, strict=True), output, lambda _: None
        )
        peaks = [peak_mib(process.pid) for process in (current_process(), *active_children())]
    told = {"seconds": round(time.perf_counter() - began, 1), "peak_mib": round(sum(peaks), 1)}
    print(json.dumps(told | {"processes": len(peaks)}))  # noqa: T201  # read by the process that started this


def peak_mib(process: int | None) -> float:
    """Return the most memory that a process has held, on Linux; getrusage would count that of who started it too."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    typer.run(main)
