"""The plain CNN sees crops and flips, learns, and does so alike each time."""

from types import SimpleNamespace

import numpy as np
import torch

from benchmarks.photographs import cnn


def drawn(smallest, flip, monkeypatch, side=8):
    monkeypatch.setattr(cnn, "FLIP", flip)
    images = torch.rand((5, 3, side, side), generator=torch.Generator().manual_seed(0))
    return images, cnn.cropped(images, smallest, torch.Generator().manual_seed(1))


def test_the_largest_crop_is_the_image_itself(monkeypatch):
    images, crops = drawn(1.0, 0.0, monkeypatch)
    torch.testing.assert_close(crops, images)


def test_a_flip_is_the_mirror_image(monkeypatch):
    images, crops = drawn(1.0, 1.0, monkeypatch)
    torch.testing.assert_close(crops, images.flip(3))


def test_a_crop_stays_inside_the_image():
    ramp = torch.linspace(0, 1, 32).expand(64, 1, 32, 32)  # of pixel centres, from left to right
    crops = cnn.cropped(ramp, 0.25, torch.Generator().manual_seed(0))
    spans = (crops[:, 0, 0, -1] - crops[:, 0, 0, 0]).abs()
    assert crops.min() >= 0
    assert crops.max() <= 1
    assert 0.45 < spans.min() < 0.6  # a quarter of the area is half of the side
    assert spans.max() < 1
    assert len(spans.unique()) > 60


def two_colours(images=48):
    labels = np.arange(images) % 2
    pixels = torch.randn((images, 3, 32, 32), generator=torch.Generator().manual_seed(0)) * 0.3
    pixels[:, 0] += torch.from_numpy(labels).float()[:, None, None] - 0.5
    return {"id_train": pixels}, SimpleNamespace(
        sets={"id_train": SimpleNamespace(labels=labels.astype(np.int32), class_names=("blue", "red"))}
    )


def test_it_learns_two_colours_and_the_same_again():
    pixels, split = two_colours()
    first, again, other = (cnn.train(pixels, split, 0.05, seed, epochs=3) for seed in (0, 0, 1))
    assert cnn.validation_accuracy(first, pixels["id_train"], split.sets["id_train"].labels) == 1
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_outputs_are_the_heads_of_the_features():
    network = cnn.PlainCnn(5).eval()
    pixels = torch.randn(3, 3, 32, 32)
    outputs = cnn.outputs_of(network, pixels)
    assert outputs.features.shape == (3, cnn.WIDTHS[-1])
    torch.testing.assert_close(outputs.logits.float(), network(pixels))
