"""A plain CNN of four layers on pixels, trained with crops and flips, as tutorials on image classification have it.

The learning rate is chosen on ID validation, by the first seed, as a user would.
"""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from benchmarks.photographs.judging import Json, judged, network_scores
from benchmarks.photographs.project import Split
from pipeline.images.image_set import ImageSet, from_8_bits, resized
from pipeline.params.infer import InferParams
from pipeline.posthoc.score import NetworkOutputs
from pipeline.training.schedule import warm_cosine

WIDTHS = (32, 64, 128, 256)
EPOCHS, BATCH_SIZE, MOMENTUM, WEIGHT_DECAY = 60, 32, 0.9, 5e-4
SMALLEST_CROP, FLIP = 0.5, 0.5
"""Share of the area that a crop has at least, and probability of a reflection: those of our own views."""
RATES = (0.02, 0.1)
"""Learning rates among which ID validation chooses."""
AT_ONCE = 256


class PlainCnn(nn.Module):
    """Four times convolution, pooling, batch normalisation and ReLU; then the mean over places and a linear head."""

    def __init__(self, classes: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip((3, *widths), widths, strict=False):
            convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
            layers += [convolution, nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], classes)

    def features(self, pixels: Tensor) -> Tensor:  # (n, 3, s, s) to (n, d)
        """Return what the head reads."""
        return self.body(pixels).mean((2, 3))  # type: ignore[no-any-return]

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (n, k)."""
        return self.head(self.features(pixels))  # type: ignore[no-any-return]


def settings(pixels: int) -> Json:
    """Return what the results of this contestant follow from, beside the images."""
    return {
        "pixels": pixels,
        "widths": list(WIDTHS),
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "momentum": MOMENTUM,
        "weight_decay": WEIGHT_DECAY,
        "flip": FLIP,
        "rates": list(RATES),
        "smallest_crop": SMALLEST_CROP,
    }


def pixels_of(images: ImageSet, size: int) -> Tensor:  # (n, 3, size, size) in -1..1
    """Return all images of a set."""
    pixels = np.stack([resized(images.read(row), size) for row in range(len(images))])
    return torch.from_numpy(from_8_bits(pixels)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def validation_accuracy(network: PlainCnn, pixels: Tensor, labels: NDArray[np.int32]) -> float:
    """Return the share of images whose class is predicted."""
    return float((outputs_of(network, pixels).logits.argmax(1).numpy() == labels).mean())


def train(pixels: dict[str, Tensor], split: Split, rate: float, seed: int, epochs: int = EPOCHS) -> PlainCnn:
    """Return a network trained with cross-entropy by SGD, whose rate warms up and falls along a cosine."""
    images, labels = pixels["id_train"], torch.from_numpy(split.sets["id_train"].labels).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = PlainCnn(len(split.sets["id_train"].class_names))
    network.to(memory_format=torch.channels_last)
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.SGD(network.parameters(), rate, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True)
    total = epochs * math.ceil(len(images) / BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(warm_cosine, total=total))
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=draw).split(BATCH_SIZE):
            loss = cross_entropy(network(cropped(images[rows], SMALLEST_CROP, draw)), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    trained: PlainCnn = network.eval()
    return trained


def cropped(images: Tensor, smallest: float, draw: torch.Generator) -> Tensor:
    """Return a random square crop of each image (n, c, s, s) at the same size, half of them flipped.

    smallest: share of the area that a crop has at least. Crops are resampled by bilinear interpolation.
    """
    share, across, down, flip = torch.rand((4, len(images)), generator=draw)
    side = (smallest + (1 - smallest) * share).sqrt()
    moves = torch.zeros(len(images), 2, 3)  # in coordinates of -1..1 over the image
    moves[:, 0, 0] = torch.where(flip < FLIP, -side, side)
    moves[:, 1, 1] = side
    moves[:, 0, 2], moves[:, 1, 2] = (1 - side) * (2 * across - 1), (1 - side) * (2 * down - 1)
    grid = affine_grid(moves, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


@torch.no_grad()
def outputs_of(network: PlainCnn, pixels: Tensor) -> NetworkOutputs:
    """Return logits and features of all images in float64."""
    features = torch.cat([network.features(batch) for batch in pixels.split(AT_ONCE)])
    return NetworkOutputs(network.head(features).double(), features.double())


def judge(network: PlainCnn, pixels: dict[str, Tensor], split: Split) -> Json:
    """Return what a trained network reaches."""
    outputs = {name: outputs_of(network, of) for name, of in pixels.items()}
    labels = {name: torch.from_numpy(split.sets[name].labels).long() for name in ("id_train", "id_test")}
    infer: InferParams = split.params.infer
    scores = network_scores(network.head, outputs, labels["id_train"], infer)
    hits: NDArray[np.bool_] = (outputs["id_test"].logits.argmax(1) == labels["id_test"]).numpy()
    return judged(scores, hits, split.params.score.id_rejection)
