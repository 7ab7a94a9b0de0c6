"""Logits of the plain CNN are those of its head, and its pixels are numbers about zero."""

import numpy as np
import torch

from pipeline.networks.plain_cnn import WIDTHS, PlainCnn, as_pixels


def test_logits_are_the_heads_of_the_features():
    network = PlainCnn(5).eval()
    pixels = torch.randn(3, 3, 32, 32)
    features = network.features(pixels)
    assert features.shape == (3, WIDTHS[-1])
    torch.testing.assert_close(network(pixels), features @ network.head.weight.T + network.head.bias)


def test_levels_become_numbers_between_minus_one_and_one():
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(as_pixels(levels).ravel(), [-1, -0.6, 1], rtol=1e-6)
