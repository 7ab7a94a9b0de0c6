"""Reconstruction: a feature should keep what its latent is like, and not only of which class."""

from torch import Tensor


def reconstruction(
    guessed: Tensor,  # (n, c, h, w)
    latents: Tensor,  # (n, c, h, w), standardised
) -> Tensor:  # (n,)
    """Return the mean squared error of each latent's values.

    About 1 where nothing is known of a latent, 0 where everything is. Features that learn from labels alone forget what
    classes do not need, and an image of a new class may differ in just that.

    Source: Yoshihashi et al. 2019, https://arxiv.org/abs/1812.04246 (CROSR), of images and of every layer there.
    """
    return (guessed - latents).square().flatten(1).mean(1)
