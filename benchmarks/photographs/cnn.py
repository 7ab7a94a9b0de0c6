"""The plain CNN of stage `rival`, as a contestant: its learning rate is chosen on ID validation, as a user would."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.photographs.judging import Json, judged, network_scores
from benchmarks.photographs.project import Split
from pipeline.networks.plain_cnn import WIDTHS, PlainCnn
from pipeline.params.infer import InferParams
from pipeline.params.rival import CnnParams
from pipeline.training.rival import FLIP, MOMENTUM, SMALLEST_CROP, WEIGHT_DECAY, cnn_outputs, train_cnn

EPOCHS, BATCH_SIZE = 60, 32
RATES = (0.02, 0.1)
"""Learning rates among which ID validation chooses."""
CPU = torch.device("cpu")


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


def validation_accuracy(network: PlainCnn, levels: Tensor, labels: NDArray[np.int32]) -> float:
    """Return the share of images (n, 3, s, s) of levels 0..255 whose class is predicted."""
    return float((cnn_outputs(network, levels, CPU).logits.argmax(1).numpy() == labels).mean())


def train(levels: dict[str, Tensor], split: Split, rate: float, seed: int, epochs: int = EPOCHS) -> PlainCnn:
    """Return a trained network. levels: by image set, (n, 3, s, s) uint8."""
    params = CnnParams(epochs=epochs, batch_size=BATCH_SIZE, learning_rate=rate)
    labels = torch.from_numpy(split.sets["id_train"].labels).long()
    return train_cnn(levels["id_train"], labels, params, seed, CPU, lambda _: None)


def judge(network: PlainCnn, levels: dict[str, Tensor], split: Split) -> Json:
    """Return what a trained network reaches."""
    outputs = {name: cnn_outputs(network, of, CPU) for name, of in levels.items()}
    labels = {name: torch.from_numpy(split.sets[name].labels).long() for name in ("id_train", "id_test")}
    infer: InferParams = split.params.infer
    scores = network_scores(network.head, outputs, labels["id_train"], infer)
    hits: NDArray[np.bool_] = (outputs["id_test"].logits.argmax(1) == labels["id_test"]).numpy()
    return judged(scores, hits, split.params.score.id_rejection)
