"""Reconstruction: a feature should keep information about its latent, and not only about its class."""

from torch import Tensor


def reconstruction(
    decoded: Tensor,  # (n, c, h, w), predicted from features
    latents: Tensor,  # (n, c, h, w), standardised
) -> Tensor:  # (n,)
    """Return the mean squared error of each latent's values.

    The loss is about 1 for features without information about their latents, and 0 for a perfect prediction. Features
    that are trained with labels alone lose the information that does not separate classes. An image of a new class may
    differ in just this information.

    Source: Yoshihashi et al. 2019, https://arxiv.org/abs/1812.04246 (CROSR). Differs: there, images and every layer are
    reconstructed.
    """
    return (decoded - latents).square().flatten(1).mean(1)
