"""The config.json of an autoencoder: a supported class, numbers within bounds, and weights that fit."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from pipeline.networks.tensor_file import require_finite
from pipeline.runtime.files import open_regular, read_description
from pipeline.runtime.shortage import require_memory
from pipeline.store.format import LatentSpace

CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"
ENCODERS = ("AsymmetricAutoencoderKL", "AutoencoderKL", "AutoencoderTiny", "VQModel")
"""The classes of diffusers that turn an image into a latent and back. A folder must not choose among all others: some
run code that lies in the folder."""

LARGEST_NUMBER, LONGEST_LIST, LONGEST_TEXT, DEEPEST = 2**16, 32, 200, 64
"""Bounds of the values in a config.json; the last is the most layers or blocks of a resolution."""
MAPS = 4
"""Feature maps of an encoder's first width that are in memory at the same time, at least."""


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


def require_fitting(folder: Path, space: LatentSpace) -> None:
    """Raise unless a folder holds an autoencoder of this latent space, with finite weights that fit its config.json.

    The model is built without memory first. Raises ValueError, OSError, OutOfMemoryError, or whatever diffusers raises
    for a config.json that describes no model.
    """
    shapes = _built_without_memory(json.loads(read_description(folder / CONFIG, inside=folder)), space)
    first_width = next(iter(shapes.values()))[0]
    maps = MAPS * 4 * first_width * space.image_size**2
    require_memory(folder, sum(4 * math.prod(shape) for shape in shapes.values()) + maps)
    open_regular(folder / WEIGHTS, inside=folder).close()
    with safe_open(folder / WEIGHTS, "pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping
        for name in sorted(found.keys() | shapes.keys()):
            if found.get(name) != shapes.get(name):
                raise ValueError(f"{name[:100]!r} has shape {found.get(name)}, wanted {shapes.get(name)}")
        for name in found:
            require_finite({name: file.get_tensor(name)})


def _built_without_memory(config: Any, space: LatentSpace) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's tensors; raises ValueError unless it makes latents of this space."""
    model_class, side = encoder_class(config), space.image_size
    _require_bounded(config)
    with torch.device("meta"), torch.no_grad():
        model = model_class.from_config(config)
        encoded = model.encode(torch.empty(1, 3, side, side))
    code = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
    found = (model.config.scaling_factor, *code.shape[1:])
    if found != (wanted := (space.scaling_factor, *space.shape)):
        raise ValueError(f"its scaling factor and shape of latents are {found}, wanted {wanted}, as the network")
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _require_bounded(config: dict[str, Any]) -> None:
    """Raise ValueError when a value is of another kind or beyond all that a model has."""
    for key, value in config.items():
        values = value if isinstance(value, list) else [value]
        layers = "layers_per" in key or (key.startswith("num_") and key.endswith("_blocks"))
        largest = DEEPEST if layers else LARGEST_NUMBER
        if len(values) > LONGEST_LIST or not all(_is_bounded(item, largest) for item in values):
            raise ValueError(f"{key[:100]!r} is {str(value)[:100]}, which no autoencoder has")


def _is_bounded(value: object, largest: int) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return math.isfinite(value) and abs(value) <= largest
    return isinstance(value, str) and len(value) <= LONGEST_TEXT
