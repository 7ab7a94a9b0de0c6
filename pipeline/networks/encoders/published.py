"""What the files of a published vision backbone say before its weights are read."""

from pathlib import Path
from typing import Any

import torch

from pipeline.networks.encoders.vision_backbone import LOCAL, PARAMETER, PREPROCESSOR
from pipeline.networks.fitting import CONFIG, bounded_config
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import read_json
from pipeline.runtime.huggingface import import_transformers, quiet, without_network

LAYOUT = f"a vision backbone of transformers: {CONFIG}, {PREPROCESSOR} and safetensors weights"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
"""Weights in formats that are not read: most of them can run code when they are opened."""
USUAL_SIZE, LARGEST_SIZE = 224, 2**12
"""Side in pixels of the images of most backbones, and the largest that is believed."""
STEP = 8
"""`data.image_size` is a multiple of this, and at least twice as much."""


def require_vision_backbone(folder: Path) -> None:
    """Raise ModelError unless a folder holds the description and the safetensors weights of a vision model."""
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder}: found no {CONFIG}, wanted {LAYOUT}. Name the folder that has these files.")
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(file.name for pattern in PICKLED for file in folder.glob(pattern))
        found = f"weights in {pickled[0]} only, which could run code" if pickled else "no weights"
        raise ModelError(
            f"{folder}: found {found}, wanted {LAYOUT}. Save the model with save_pretrained(folder), or take a "
            f"revision that has model.safetensors."
        )
    try:
        described = _described_model(folder)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError, RecursionError) as error:
        raise ModelError(
            f"{folder / CONFIG}: describes no vision model of transformers ({reason(error)}). Wanted {LAYOUT}."
        ) from error
    if described.main_input_name != "pixel_values":
        found = f"{type(described).__name__}, whose input is {described.main_input_name}"
        raise ModelError(f"{folder}: found a {found}, wanted {LAYOUT}. Name a model of images.")


def input_size(folder: Path) -> int:
    """Return the side in pixels of the images that a backbone was made for.

    It is the crop or the size in preprocessor_config.json, else `image_size` in config.json, else 224. Sizes that are
    no multiple of 8, as of EfficientNet-B2, are lowered to one: images of a run have such sides.
    """
    preprocessor, config = (_content(folder / name) for name in (PREPROCESSOR, CONFIG))
    vision = config.get("vision_config")
    candidates = [
        preprocessor.get("crop_size") if preprocessor.get("do_center_crop", True) else None,
        preprocessor.get("size"),
        vision.get("image_size") if isinstance(vision, dict) else None,
        config.get("image_size"),
    ]
    sides = (_side(candidate) for candidate in candidates)
    return next((side for side in sides if side is not None), USUAL_SIZE)


def _described_model(folder: Path) -> Any:
    """Return the model of a config.json without memory for its weights."""
    transformers = import_transformers(PARAMETER)
    bounded_config(folder)
    with quiet(), without_network(), torch.device("meta"):
        config = transformers.AutoConfig.from_pretrained(str(folder.absolute()), **LOCAL)
        config = getattr(config, "vision_config", None) or config
        return transformers.AutoModel.from_config(config, trust_remote_code=False)


def _side(size: object) -> int | None:
    """Return the side that one of the library's ways to write a size says, or None."""
    if isinstance(size, dict):
        size = size.get("height", size.get("shortest_edge"))
    if isinstance(size, list) and size:
        size = size[0]
    return size - size % STEP if type(size) is int and 2 * STEP <= size <= LARGEST_SIZE else None


def _content(file: Path) -> dict[str, Any]:
    """Return the content of a JSON file; nothing where there is none, or no object in it."""
    try:
        content = read_json(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
