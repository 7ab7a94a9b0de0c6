"""Train what one would take instead of the detector, and let it judge the images of every set."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from pipeline.images.image_set import ImageSet, resized
from pipeline.images.prefetch import prefetch
from pipeline.latents.latents import Latents
from pipeline.latents.standardising import to_scaled
from pipeline.networks.plain_cnn import PlainCnn, as_pixels
from pipeline.params.infer import InferParams, ScoreName
from pipeline.params.rival import CnnParams
from pipeline.posthoc.rival import SCORES, SIDE, Network
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore
from pipeline.posthoc.scores.knn import Knn
from pipeline.posthoc.scores.mahalanobis_pp import MahalanobisPP
from pipeline.posthoc.scores.msp import Msp
from pipeline.posthoc.table import ScoreTable
from pipeline.runtime.device import chosen_device, seeded
from pipeline.runtime.errors import ScoreError
from pipeline.runtime.progress import progress
from pipeline.store.format import Standardisation
from pipeline.training.curve import History, end_epoch
from pipeline.training.logistic import Floats, Regression, fit_on_validation
from pipeline.training.schedule import warm_cosine

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4
SMALLEST_CROP, FLIP = 0.5, 0.5
"""Share of the area that a crop has at least, and probability of a reflection: those of `views` for photographs."""
LARGEST_SIDE = 64
"""Side in pixels beyond which images are reduced for a network of four layers."""
AT_ONCE = 256
KINDS: Mapping[ScoreName, type[PosthocScore]] = dict(zip(SCORES, (Msp, Knn, MahalanobisPP), strict=True))
"""Imported one by one, so that a change of another score trains no rival again."""


def cnns(
    images: Mapping[str, ImageSet], image_size: int, params: CnnParams, seeds: Sequence[int]
) -> dict[int, Network]:
    """Train a plain CNN per seed, and return by seed what it makes of every set.

    images: by image set, id_train among them. image_size: side in pixels at which they are seen, LARGEST_SIDE at most.
    """
    device, size = chosen_device(), min(image_size, LARGEST_SIDE)
    with progress("reading images for the plain CNN", sum(map(len, images.values()))) as advance:
        levels = {name: read_levels(of_set, size, advance) for name, of_set in images.items()}
    labels, networks = torch.from_numpy(images["id_train"].labels).long(), dict[int, Network]()
    with progress("training plain CNNs, epochs", params.epochs * len(seeds)) as advance:
        for seed in seeds:
            network = train_cnn(levels["id_train"], labels, params, seed, device, advance)
            outputs = {name: cnn_outputs(network, of_set, device) for name, of_set in levels.items()}
            networks[seed] = Network(network.head.cpu(), outputs)
    return networks


def read_levels(images: ImageSet, size: int, advance: Callable[[int], None]) -> Tensor:  # (n, 3, size, size) uint8
    """Return the images of a set as levels of 0..255. advance: called with 1 after every image."""

    def read(row: int) -> NDArray[np.uint8]:
        return resized(images.read(row), size)

    levels = torch.empty((len(images), 3, size, size), dtype=torch.uint8)
    for row, picture in enumerate(prefetch(read, range(len(images)))):
        levels[row] = torch.from_numpy(np.moveaxis(picture, 2, 0).copy())
        advance(1)
    return levels


@torch.no_grad()
def cnn_outputs(network: PlainCnn, levels: Tensor, device: torch.device) -> NetworkOutputs:
    """Return logits and features of images (n, 3, s, s) of levels 0..255, in float64 on the CPU."""
    batches = [network.features(as_pixels(batch).to(device)) for batch in levels.split(AT_ONCE)]
    features = torch.cat(batches)
    return NetworkOutputs(network.head(features).double().cpu(), features.double().cpu())


def train_cnn(
    images: Tensor,  # (n, 3, s, s) of levels 0..255; s at least 16
    labels: Tensor,  # (n,) int64 in 0..k-1, every class present
    params: CnnParams,
    seed: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> PlainCnn:
    """Return a network trained with cross-entropy on a crop of each image per epoch, half of them flipped.

    Stochastic gradient descent with Nesterov momentum; the learning rate rises over the first twentieth of the steps
    and falls along a cosine. advance: called with 1 after every epoch.
    Raises DivergedError as soon as a loss of an epoch is not finite.
    """
    with seeded(seed, device):
        network: Any = PlainCnn(int(labels.max()) + 1)
    network.to(device, memory_format=torch.channels_last)
    draw, history = torch.Generator().manual_seed(seed), History()
    optimiser = torch.optim.SGD(
        network.parameters(), params.learning_rate, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    total = params.epochs * math.ceil(len(images) / params.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(warm_cosine, total=total))
    for _ in range(params.epochs):
        losses = []
        for rows in torch.randperm(len(images), generator=draw).split(params.batch_size):
            crops = cropped(as_pixels(images[rows]), SMALLEST_CROP, FLIP, draw)
            loss = cross_entropy(network(crops.to(device)), labels[rows].to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
            rate = optimiser.param_groups[0]["lr"]
            schedule.step()
        end_epoch(history, rate, {"cross_entropy": float(torch.stack(losses).mean())}, params.learning_rate)
        advance(1)
    trained: PlainCnn = network.eval()
    return trained


def cropped(images: Tensor, smallest: float, flip: float, draw: torch.Generator) -> Tensor:
    """Return a random square crop of each image (n, c, s, s) at the same size, some of them flipped left to right.

    smallest: share of the area that a crop has at least; flip: probability. Crops are resampled by bilinear
    interpolation.
    """
    share, across, down, flipped = torch.rand((4, len(images)), generator=draw)
    side = (smallest + (1 - smallest) * share).sqrt()
    moves = torch.zeros(len(images), 2, 3)  # in coordinates of -1..1 over the image
    moves[:, 0, 0] = torch.where(flipped < flip, -side, side)
    moves[:, 1, 1] = side
    moves[:, 0, 2], moves[:, 1, 2] = (1 - side) * (2 * across - 1), (1 - side) * (2 * down - 1)
    grid = affine_grid(moves, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def latent_regression(latents: Mapping[str, Latents]) -> Network:
    """Fit a logistic regression to the mean over places of the ID training latents; return what it makes of every set.

    latents: by image set. They are taken as the encoder made them, since distances depend on their scale.
    """
    known, validation = "id_train", "id_validation"
    standardisation = latents[known].header.standardisation  # by which all sets are standardised
    features = {name: _mean_over_places(of_set.values, standardisation) for name, of_set in latents.items()}
    fitted = fit_on_validation(
        features[known], latents[known].labels, features[validation], latents[validation].labels
    )  # fmt: skip
    return regression_network(fitted, features)


def regression_network(fitted: Regression, features: Mapping[str, Floats]) -> Network:
    """Return what a regression makes of features (n, d), by image set."""
    head = linear_head(fitted.weight, fitted.bias)
    outputs = {
        name: NetworkOutputs(torch.from_numpy(of_set @ fitted.weight.T + fitted.bias), torch.from_numpy(of_set))
        for name, of_set in features.items()
    }
    return Network(head, outputs)


def linear_head(weight: Floats, bias: Floats) -> nn.Linear:
    """Return a head with this weight (k, d) and bias (k,), in float64."""
    head = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head


def _mean_over_places(values: Tensor, standardisation: Standardisation) -> Floats:
    means = values.mean((2, 3), keepdim=True)
    features: Floats = to_scaled(means, standardisation)[:, :, 0, 0].double().numpy()
    return features


def rival_table(
    networks: Mapping[int, Network],  # by seed
    labels: Mapping[str, NDArray[np.int32]],  # by image set
    contents: Mapping[str, NDArray[np.int64]],
    class_names: tuple[str, ...],
    params: InferParams,
) -> ScoreTable:
    """Return predictions and scores of every set but id_train, which the scores learn from.

    Raises ScoreError when an output is not finite.
    """
    sets = [name for name in labels if name != "id_train"]
    scores = {(SIDE, name, score): list[NDArray[np.float64]]() for name in sets for score in SCORES}
    predicted = {(SIDE, name): list[NDArray[np.int32]]() for name in sets}
    known_labels = torch.from_numpy(labels["id_train"]).long()
    for seed, network in networks.items():
        _require_finite(seed, network.outputs.values())
        known, validation = network.outputs["id_train"], network.outputs["id_validation"]
        weight, bias = (part.detach().double() for part in (network.head.weight, network.head.bias))
        id_images = IdImages(known, known_labels, validation, weight, bias)
        fitted = {name: kind(params, kind.fit(id_images, params)) for name, kind in KINDS.items()}
        for name in sets:
            outputs = network.outputs[name]
            predicted[SIDE, name].append(outputs.logits.argmax(1).cpu().numpy().astype(np.int32))
            for score, of_kind in fitted.items():
                scores[SIDE, name, score].append(of_kind.score(outputs).numpy())
    return ScoreTable(
        seeds=tuple(networks),
        class_names=class_names,
        weights={},
        labels={name: labels[name] for name in sets},
        contents={name: contents[name] for name in sets},
        scores={key: np.stack(rows) for key, rows in scores.items()},
        predicted={key: np.stack(rows) for key, rows in predicted.items()},
    )


def _require_finite(seed: int, outputs: Iterable[NetworkOutputs]) -> None:
    if not all(torch.cat(list(of_set), dim=1).isfinite().all() for of_set in outputs):
        raise ScoreError(
            f"rival of seed {seed}: found outputs that are not finite. Lower rival.cnn.learning_rate, or set "
            f"rival.kind to none."
        )
