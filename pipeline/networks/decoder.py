"""The decoder of the reconstruction loss: a feature to the latent that it was computed from."""

from torch import Tensor, nn


class Decoder(nn.Module):
    """Linear, ReLU, linear: predicts a latent from its feature.

    It is trained together with the network, by the same loss, and is not used after training.
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
        """Return the latents (n, c, h, w) predicted from features (n, d)."""
        decoded: Tensor = self.layers(features)
        return decoded
