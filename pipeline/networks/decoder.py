"""The decoder of reconstruction: from a feature back to the latent it is of."""

from torch import Tensor, nn


class Decoder(nn.Module):
    """Linear, ReLU, linear: what a latent is guessed by from its feature.

    It learns together with the network, from the same loss, and is of no use afterwards.
    """

    def __init__(self, features: int, hidden: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels * height * width),
            nn.Unflatten(1, shape),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the latents (n, c, h, w) guessed from features (n, d)."""
        guessed: Tensor = self.layers(features)
        return guessed
