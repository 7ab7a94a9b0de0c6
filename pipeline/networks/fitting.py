"""Check the files of a saved model before it is loaded: numbers within bounds, and weights that fit and are finite."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from pipeline.networks.tensor_file import require_finite
from pipeline.runtime.files import open_regular, read_description
from pipeline.runtime.shortage import require_memory

CONFIG = "config.json"
LARGEST_NUMBER, LONGEST_LIST, LONGEST_TEXT, DEEPEST = 2**20, 2**16, 1000, 256
"""Bounds of the values in a config.json: lists have room for the classes of ImageNet-22k, the last is the most layers
or blocks."""
BYTES_PER_PIXEL = 1024
"""Memory for the feature maps of one image, at least, per pixel."""


def bounded_config(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """Return the content of a model's JSON file, config.json where no other is named.

    Raises OSError or ValueError when a value is beyond all that a model has.
    """
    config = json.loads(read_description(folder / name, inside=folder))
    if not isinstance(config, dict):
        raise ValueError(f"found a {type(config).__name__} in {name}, wanted an object")  # noqa: TRY004  # of data
    _require_bounded(config)
    return config


def require_fitting(build: Callable[[], nn.Module], weights: Path, *, renamed: bool = False) -> None:
    """Raise unless a file has exactly the tensors of a model, all finite; the model is built without memory first.

    renamed: the library gives tensors other names in files, and compares them when it loads them.

    Raises ValueError, OSError, OutOfMemoryError, or whatever a library raises for a description of no model.
    """
    wanted = affordable_shapes(build, weights)
    open_regular(weights, inside=weights.parent).close()
    with safe_open(weights, "pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping
        for name in sorted(found.keys() | wanted.keys()):
            if not renamed and found.get(name) != wanted.get(name):
                raise ValueError(f"{name[:100]!r} has shape {found.get(name)}, wanted {wanted.get(name)}")
        for name in found:
            require_finite({name: file.get_tensor(name)})


def affordable_shapes(build: Callable[[], nn.Module], weights: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a model, which is built without memory.

    Raises OutOfMemoryError, which names `weights`, when they are more than this machine has.
    """
    with torch.device("meta"), torch.no_grad():
        shapes = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    require_memory(weights, sum(4 * math.prod(shape) for shape in shapes.values()))
    return shapes


def require_room(image_size: int) -> None:
    """Raise OutOfMemoryError when the maps of one image of that size are more than this machine has."""
    require_memory(f"an image of {image_size} x {image_size} pixels", BYTES_PER_PIXEL * image_size**2)


def _require_bounded(config: dict[str, Any]) -> None:
    """Raise ValueError when a value is of another kind or beyond all that a model has."""
    for key, value in config.items():
        layers = "layers" in key or (key.startswith("num_") and key.endswith("_blocks")) or key == "depths"
        if not _is_bounded(value, DEEPEST if layers else LARGEST_NUMBER, depth=0):
            raise ValueError(f"{key[:100]!r} is {str(value)[:100]}, which no model has")


def _is_bounded(value: object, largest: int, *, depth: int) -> bool:
    if isinstance(value, list | dict):
        items = list(value.values()) if isinstance(value, dict) else value
        return depth < 5 and len(items) <= LONGEST_LIST and all(_is_bounded(v, largest, depth=depth + 1) for v in items)
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return math.isfinite(value) and abs(value) <= largest
    return isinstance(value, str) and len(value) <= LONGEST_TEXT
