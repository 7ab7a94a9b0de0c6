"""The decoder guesses a latent from a feature, by two linear layers, and learns together with the network."""

import torch

from pipeline.losses.reconstruction import reconstruction
from pipeline.networks.decoder import Decoder

FEATURES, LATENTS = torch.randn(9, 6), torch.randn(9, 2, 3, 4)


def test_it_is_linear_relu_linear_in_the_shape_of_a_latent():
    decoder = Decoder(6, 5, (2, 3, 4))
    first, _, second, _ = decoder.layers
    for decoded, feature in zip(decoder(FEATURES), FEATURES, strict=True):
        hidden = torch.relu(first.weight @ feature + first.bias)
        torch.testing.assert_close(decoded, (second.weight @ hidden + second.bias).reshape(2, 3, 4))


def test_it_learns_together_with_the_network():
    decoder, features = Decoder(6, 5, (2, 3, 4)), FEATURES.clone().requires_grad_()
    reconstruction(decoder(features), LATENTS).sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in [features, *decoder.parameters()])


def test_it_is_defined_on_no_rows():
    assert Decoder(6, 5, (2, 3, 4))(FEATURES[:0]).shape == (0, 2, 3, 4)
