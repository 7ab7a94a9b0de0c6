"""Measure how long this machine takes to train an encoder and to encode, with the user's own images."""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.images.image_set import ImageSet, from_8_bits, resized
from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder
from pipeline.networks.encoders.encoder import Encoder
from pipeline.networks.encoders.model import EncoderModel
from pipeline.params.all_params import AllParams
from pipeline.params.encoder import SupervisedParams, TrainedParams
from pipeline.runtime.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.runtime.files import folder_bytes
from pipeline.runtime.progress import waiting
from pipeline.training.autoencoder import train_autoencoder
from pipeline.training.curve import History
from pipeline.training.pixel_classifier import train_classifier
from pipeline.training.reduction import fitted_images

READ, BATCH, ENOUGH = 32, 16, 1.0
"""Images that are read, images per timed pass, and seconds of passes after which no other is timed."""
WARM_UP = 2
"""Images of the first pass, which is not timed."""
STEPS = 2
"""Steps per epoch of a training that is timed; its first epoch is not."""


@dataclass(frozen=True)
class Speed:
    """Seconds per image on this machine, and how large an encoder and what it makes are."""

    read: float  # to open it and bring it to size
    encode: float
    train: float  # each time that a training sees it; 0 where nothing is trained
    latent: tuple[int, int, int]  # shape (c, h, w) of a stored latent
    size: int  # bytes of the encoder's files

    def training(self, images: int, epochs: int) -> float:
        """Return the seconds of a training, whose images are read once."""
        return images * (self.read + epochs * self.train)

    def encoding(self, images: int, views: int) -> float:
        """Return the seconds to encode images and views; a view is made of an image that was read."""
        return images * (self.read + self.encode) + views * self.encode


@dataclass(frozen=True)
class Amount:
    """How many images a run encodes."""

    train: int
    test: int
    others: tuple[int, ...]  # in each other set

    @property
    def images(self) -> int:
        """All images, views not among them."""
        return self.train + self.test + sum(self.others)


def measured_speed(params: AllParams, model: EncoderModel | None, images: ImageSet) -> Speed:
    """Return how fast this machine works with an encoder and these images.

    model: a pretrained one; None where one is trained: then a few steps of its training are timed first.
    """
    prepare_torch(STAGE_THREADS)
    with waiting("measuring how long the encoder takes on this machine"):
        began = perf_counter()
        pictures = [resized(images.read(row), params.data.image_size) for row in _spread(len(images), READ)]
        read, train = (perf_counter() - began) / len(pictures), 0.0
        if model is None:
            model, train = _timed_training(params, images)
        seconds = seconds_to_encode(model, np.stack(pictures))
        return Speed(read, seconds, train, _latent_shape(params, model), _size(model))


def _latent_shape(params: AllParams, model: EncoderModel) -> tuple[int, int, int]:
    """Return the shape of a latent after the reduction."""
    size = params.data.image_size
    _, channels, side, _ = model.encode(torch.zeros(1, 3, size, size, device=chosen_device())).shape
    return params.encoder.reduced(channels, side)


def _size(model: EncoderModel) -> int:
    """Return the bytes of the files of a model."""
    with tempfile.TemporaryDirectory() as name:
        model.save(Path(name))
        return folder_bytes(Path(name))


def seconds_to_encode(
    model: EncoderModel | Encoder,
    pictures: NDArray[np.uint8],  # (n, s, s, 3) of RGB, n at least 1
) -> float:
    """Return the seconds that encoding takes per image, on the chosen device."""
    device = chosen_device()
    model.to(device)
    batch = torch.from_numpy(from_8_bits(pictures[:BATCH])).permute(0, 3, 1, 2).to(device)
    model.encode(batch[:WARM_UP]).cpu()
    began, count = perf_counter(), 0
    while not count or perf_counter() - began < ENOUGH:
        model.encode(batch).cpu()
        count += len(batch)
    return (perf_counter() - began) / count


def estimate(params: AllParams, speed: Speed, amount: Amount) -> str:
    """Return a sentence on how long the encoder's work will take in a run."""
    views = params.views.count * amount.train
    views_text = f" and {views:,} views of them" if views else ""
    each = f"{1000 * (speed.read + speed.encode):.1f} ms each"
    takes = f"will take about {about(seconds_of_encoding(params, speed, amount))} on this machine ({each})"
    text = f"encoding {amount.images:,} images{views_text} {takes}"
    training = seconds_of_training(params, speed, amount)
    return f"training the encoder will take about {about(training)}, {text}" if training else text


def seconds_of_encoding(params: AllParams, speed: Speed, amount: Amount) -> float:
    """Return the seconds in which a run encodes its images, their views and the probes."""
    encoder, batch = params.encoder, params.encode.batch_size
    sets = [amount.train, amount.test, *amount.others]
    probes = [amount.test] * (2 if encoder.kind == "trained" else 1)  # decoded and encoded again, and as JPEG
    filled = sum(math.ceil(images / batch) * batch for images in (*sets, *probes))  # the last batch is filled up
    return speed.encoding(filled + fitted_images(encoder, amount.train), params.views.count * amount.train)


def seconds_of_training(params: AllParams, speed: Speed, amount: Amount) -> float:
    """Return the seconds in which a run trains its encoder; 0 where it is not trained."""
    match params.encoder.chosen:
        case TrainedParams() | SupervisedParams() as chosen:
            return speed.training(amount.train, chosen.epochs)
    return 0.0


def about(seconds: float) -> str:
    """Return a duration to plan with: rounded up to 10 seconds, minutes or tenths of an hour."""
    if seconds <= 50:
        return f"{10 * math.ceil(max(seconds, 1) / 10)} s"
    return f"{math.ceil(seconds / 60)} min" if seconds <= 5400 else f"{math.ceil(seconds / 360) / 10:.1f} h"


def _timed_training(params: AllParams, images: ImageSet) -> tuple[EncoderModel, float]:
    """Train for two short epochs; return the model and the seconds per image of the second, when all are read."""
    ends, size, device = list[float](), params.data.image_size, chosen_device()

    def on_epoch(_: History) -> None:
        ends.append(perf_counter())

    model: EncoderModel
    match params.encoder.chosen:
        case SupervisedParams() as supervised:
            few = subset(images, STEPS * supervised.batch_size)
            short = supervised.model_copy(update={"epochs": 2})
            model = train_classifier(few, size, short, device, ignore, on_epoch).encoder
        case TrainedParams() as trained:
            few = subset(images, STEPS * trained.batch_size)
            brief = trained.model_copy(update={"epochs": 2})
            model = DiffusersAutoencoder(train_autoencoder(few, size, brief, device, ignore, on_epoch).cpu())
        case _:
            raise AssertionError(params.encoder.kind)
    return model, (ends[1] - ends[0]) / len(few)


def subset(images: ImageSet, most: int) -> ImageSet:
    """Return at most so many of the images, evenly spaced."""
    rows = _spread(len(images), most)
    return ImageSet(images.labels[rows], images.class_names, lambda index: images.read(rows[index]))


def _spread(count: int, most: int) -> list[int]:
    """Return at most `most` numbers below `count`, evenly spaced."""
    return [int(row) for row in np.linspace(0, count - 1, min(count, most))]


def ignore(_: int) -> None:
    """Advance no progress bar."""
