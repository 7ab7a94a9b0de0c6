"""Say how long a whole run of a new project will take on this machine, and how much disk."""

import math
import subprocess
import sys
from time import perf_counter

import torch
from torch.nn.functional import cross_entropy

from pipeline.commands.encoder_speed import STEPS, Amount, Speed, about, seconds_of_encoding, seconds_of_training
from pipeline.networks.resnet import LatentResNet
from pipeline.params.all_params import AllParams
from pipeline.params.networks import LinearParams
from pipeline.runtime.device import STAGE_THREADS, UNIT_THREADS, chosen_device, default_workers, prepare_torch
from pipeline.runtime.shortage import as_size
from pipeline.store.format import LATENT_DTYPE
from pipeline.training.curve import History
from pipeline.training.gradients import Losses, Step
from pipeline.training.loop import fit

STARTS, IMAGES_PER_START = 70, 250
"""What else a run does takes as long as so many starts of a process, and one more for so many images and views. It
starts some thirty, checks, scores and draws. Three folders of photographs took so long (docs/performance.md)."""
START = "import torch, zarr"
COPIES = 2
"""DVC keeps what a stage makes, and a copy in its cache, unless the file system can share blocks."""


def whole_run_sentence(params: AllParams, speed: Speed, amount: Amount, classes: int, rival: float) -> str:
    """Return a sentence for the summary of a new project. rival: the seconds that the rival takes."""
    encoder = seconds_of_training(params, speed, amount) + seconds_of_encoding(params, speed, amount)
    networks = seconds_of_networks(params, speed.latent, classes, amount.train)
    starts = STARTS + _encoded(params, amount) / IMAGES_PER_START
    seconds = encoder + networks + rival + starts * _seconds_of_a_start()
    takes = f"about {about(seconds)} and {as_size(disk_bytes(params, speed, amount, classes))} of disk"
    return f"a whole run takes {takes} on this machine: `dvc repro`, from the photographs to the report"


def seconds_of_networks(params: AllParams, latent: tuple[int, int, int], classes: int, images: int) -> float:
    """Return the seconds in which a run trains the teachers and detectors of all seeds, side by side.

    A step of the teacher is timed. One of a detector takes longer by the rows that it sees beside those of the batch.
    """
    train, teacher = params.train, params.teacher.optimiser
    beside = train.outlier_batch_size * train.uses_outliers + train.optimiser.batch_size * bool(train.mixing.weight)
    rows = images * (teacher.epochs + train.optimiser.epochs * (1 + beside / train.optimiser.batch_size))
    rounds = math.ceil(len(params.seeds) / default_workers(chosen_device()))
    return rounds * rows * _seconds_per_row(params, latent, classes)


def _seconds_per_row(params: AllParams, latent: tuple[int, int, int], classes: int) -> float:
    """Return the seconds per row of the second of two short epochs of a teacher."""
    prepare_torch(UNIT_THREADS)
    optimiser, device = params.teacher.optimiser.model_copy(update={"epochs": 2}), chosen_device()
    rows, ends, draw = STEPS * optimiser.batch_size, list[float](), torch.Generator().manual_seed(0)
    values, labels = torch.randn(rows, *latent, generator=draw), torch.randint(classes, (rows,), generator=draw)
    network = _network(params, latent, classes).to(device)

    def on_epoch(_: History) -> None:
        ends.append(perf_counter())

    def inputs(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return values[batch].to(device), labels[batch].to(device)

    def losses(of_batch: torch.Tensor, wanted: torch.Tensor) -> Losses:
        return {"cross_entropy": cross_entropy(network(of_batch).logits, wanted)}

    fit(network, rows, Step(inputs, losses), optimiser, draw, on_epoch)
    prepare_torch(STAGE_THREADS)
    return (ends[1] - ends[0]) / rows


def _network(params: AllParams, latent: tuple[int, int, int], classes: int) -> LatentResNet:
    return LatentResNet(latent[0], classes, params.teacher.network, LinearParams(kind="linear"))


def _seconds_of_a_start() -> float:
    """Return the seconds in which a process starts that computes."""
    began = perf_counter()
    subprocess.run([sys.executable, "-c", START], check=True)  # noqa: S603  # our own
    return perf_counter() - began


def _encoded(params: AllParams, amount: Amount) -> int:
    """Return how many images and views are encoded."""
    return amount.images + params.views.count * amount.train


def disk_bytes(params: AllParams, speed: Speed, amount: Amount, classes: int) -> int:
    """Return the bytes of what a run makes, with DVC's copies: latents, views, outliers, encoders, networks, scores."""
    rows = _encoded(params, amount) + sum(method.rows for method in params.synthesize.enabled.values())
    network = _network(params, speed.latent, classes)
    kept = min(amount.train, classes * params.infer.combined.images_per_class)
    of_score = 8 * network.features * (network.features + kept)  # a covariance, and features, in float64
    of_network = 4 * sum(weights.numel() for weights in network.parameters())
    outputs = 4 * network.features * amount.train  # of the teacher
    seed = 3 * of_network + outputs + of_score + speed.size * params.bundle.copy_encoder  # teacher, detector, bundle
    stores = rows * math.prod(speed.latent) * LATENT_DTYPE.itemsize
    size: int = COPIES * (stores + speed.size + len(params.seeds) * seed)
    return size
