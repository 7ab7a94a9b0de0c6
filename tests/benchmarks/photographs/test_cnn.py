"""The contestant learns as the rival of a project does."""

from types import SimpleNamespace

import numpy as np
import torch

from benchmarks.photographs import cnn
from pipeline.networks.plain_cnn import WIDTHS
from pipeline.training.rival import train_cnn


def two_colours(images=48):
    labels = np.arange(images) % 2
    levels = 128 + 30 * torch.randn((images, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    levels[:, 0] += 100 * (torch.from_numpy(labels).float()[:, None, None] - 0.5)
    images = SimpleNamespace(labels=labels.astype(np.int32), class_names=("blue", "red"))
    return {"id_train": levels.clamp(0, 255).byte()}, SimpleNamespace(sets={"id_train": images})


def test_it_is_the_rival_at_a_rate():
    levels, split = two_colours()
    network = cnn.train(levels, split, 0.05, 0, epochs=12)
    assert cnn.validation_accuracy(network, levels["id_train"], split.sets["id_train"].labels) == 1
    labels = torch.from_numpy(split.sets["id_train"].labels).long()
    params = cnn.CnnParams(epochs=12, batch_size=cnn.BATCH_SIZE, learning_rate=0.05)
    again = train_cnn(levels["id_train"], labels, params, 0, cnn.CPU, lambda _: None)
    assert torch.equal(network.head.weight, again.head.weight)


def test_its_settings_are_those_it_is_trained_with():
    found = cnn.settings(64)
    assert (found["pixels"], found["widths"], found["epochs"]) == (64, list(WIDTHS), cnn.EPOCHS)
