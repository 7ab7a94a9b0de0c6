"""The config.json of an autoencoder: it may name a class that this project supports, and no other."""

from typing import Any

ENCODERS = ("AsymmetricAutoencoderKL", "AutoencoderKL", "AutoencoderTiny", "VQModel")
"""The classes of diffusers that turn an image into a latent and back. A folder must not choose among all others: some
run code that lies in the folder."""


def encoder_class(config: Any) -> Any:
    """Return the class of diffusers that a config.json names; raises ValueError unless it is one of ENCODERS."""
    import diffusers

    if not isinstance(config, dict):
        raise ValueError(f"found a {type(config).__name__} in config.json, wanted an object")  # noqa: TRY004  # of data
    if (name := config.get("_class_name")) not in ENCODERS:
        raise ValueError(
            f"found a {str(name)[:100]}, wanted a diffusers autoencoder of class {', '.join(ENCODERS[:-1])} or "
            f"{ENCODERS[-1]}. In a complete diffusers pipeline it is in a subfolder, mostly 'vae': name that"
        )
    return getattr(diffusers, name)
