"""Say which rival a new project trains, and how long that takes with the user's own images."""

from time import perf_counter

import numpy as np
import torch

from pipeline.commands.encoder_speed import STEPS, about, ignore, subset
from pipeline.images.image_set import ImageSet
from pipeline.params.all_params import AllParams
from pipeline.params.rival import TITLES
from pipeline.runtime.device import chosen_device
from pipeline.training.rival import LARGEST_SIDE, read_levels, train_cnn


def rival_sentence(params: AllParams, seconds: float) -> str:
    """Return a sentence for the summary of a new project. seconds: that the rival takes."""
    kind = params.rival.kind
    takes = f"takes about {about(seconds)}" if kind == "cnn" else "reads the same latents"
    beside = "stands beside the detector in every report; rival.kind none leaves it out"
    return f"rival: {TITLES[kind]}, which one would train instead, {takes} and {beside}"


def rival_seconds(params: AllParams, images: ImageSet) -> float:
    """Return the seconds that the CNNs of all seeds will take, from the second of two short epochs; 0 without CNNs.

    images: the ID training images.
    """
    if params.rival.kind != "cnn":
        return 0.0
    settings, ends = params.rival.cnn, list[float]()
    few = subset(images, STEPS * settings.batch_size)
    levels = read_levels(few, min(params.data.image_size, LARGEST_SIDE), ignore)
    labels = torch.from_numpy(np.unique(few.labels, return_inverse=True)[1]).long()
    short = settings.model_copy(update={"epochs": 2})
    train_cnn(levels, labels, short, 0, chosen_device(), lambda _: ends.append(perf_counter()))
    return len(params.seeds) * settings.epochs * len(images) * (ends[1] - ends[0]) / len(few)
