"""Frozen vision backbones of transformers: pixels to a feature map, or to patch tokens laid out as one."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline.networks.encoders.model import EncoderModel, ModelSettings
from pipeline.networks.fitting import CONFIG, affordable_shapes, bounded_config, require_fitting
from pipeline.runtime.device import full_float32
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import read_json, write_json
from pipeline.runtime.huggingface import import_transformers, quiet, without_network
from pipeline.schema.section import Positive

PARAMETER = "encoder.transformers"
PREPROCESSOR, WEIGHTS = "preprocessor_config.json", "model.safetensors"
LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "token": False}
"""Nothing is read from elsewhere than the folder, and no code in it runs."""
PATTERNS = (CONFIG, PREPROCESSOR, "*.safetensors", "*.safetensors.index.json")
ONE_FILE = "1TB"
"""A model is saved in one file."""
VERSION_KEYS = ("transformers_version", "_name_or_path")
"""Which version saved a model and where it was. They are not written: the same model must have the same digest."""


Colours = tuple[float, float, float]


class BackboneSettings(ModelSettings):
    """How the pixels of a backbone are normalised, and which of its layers is the latent."""

    kind: Literal["transformers"] = "transformers"
    mean: Colours
    """Of each colour in 0..1, subtracted first."""
    std: tuple[Positive, Positive, Positive]
    """Of each colour in 0..1, divided by."""
    layer: int | None
    """Index into the hidden states; None for the last, after the final normalisation."""


class VisionBackbone(EncoderModel):
    """A vision model of transformers in evaluation mode, without its head.

    Latents are its last feature map, or a hidden state, as (n, c, h, w). Of a transformer these are the patch tokens;
    tokens before them, such as the class token and registers, are left out.

    module: a model whose output has `last_hidden_state` and `hidden_states`.
    """

    settings: BackboneSettings

    def __init__(self, module: Any, settings: BackboneSettings) -> None:
        self.module = module.float().eval().requires_grad_(requires_grad=False)
        self.settings = settings
        self._mean, self._std = per_colour(settings.mean), per_colour(settings.std)
        self._options: dict[str, Any] = {} if settings.layer is None else {"output_hidden_states": True}
        if "interpolate_pos_encoding" in inspect.signature(module.forward).parameters:
            self._options["interpolate_pos_encoding"] = True

    @classmethod
    def read(cls, folder: Path, layer: int | None) -> Self:
        """Read a model as its authors publish it: the vision part, and mean and deviation of its preprocessor."""
        return cls.load(folder, _settings(folder, layer))

    @classmethod
    def load(cls, folder: Path, settings: BackboneSettings) -> Self:
        """Read config.json and safetensors weights; only code of transformers runs."""
        transformers = import_transformers(PARAMETER)
        path = str(folder.absolute())  # a relative path may also be an id on the hub
        try:
            with quiet(), without_network():
                config = transformers.AutoConfig.from_pretrained(path, **LOCAL)
                config = getattr(config, "vision_config", None) or config
                module, loading_info = transformers.AutoModel.from_pretrained(
                    path, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **LOCAL
                )
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"{folder}: no vision model of transformers could be read ({reason(error)}). Wanted a folder with "
                f"config.json and safetensors weights that fit it."
            ) from error
        missing = sorted(loading_info["missing_keys"])
        if any(key.startswith("pooler.") for key in missing):  # random, and no part of a map
            module.pooler, missing = None, [key for key in missing if not key.startswith("pooler.")]
        if missing:
            raise ModelError(
                f"{folder}: its weights lack {len(missing)} tensors, {missing[0]!r} first; wanted all of a "
                f"{type(module).__name__}. The download or copy was cut short: fetch the model again."
            )
        return cls(module, settings)

    @staticmethod
    def require_fitting(folder: Path) -> None:
        """Raise unless the weights in a folder are those of the model that its config.json describes."""
        require_fitting(_builder(folder), folder / WEIGHTS, renamed=True)

    @staticmethod
    def require_affordable(folder: Path) -> None:
        """Raise unless the model that a folder's config.json describes fits into the memory of this machine."""
        affordable_shapes(_builder(folder), folder)

    def to(self, device: torch.device) -> Self:
        """Move to `device`, convolutions in the memory layout in which they are fastest."""
        self.module.to(device, memory_format=torch.channels_last)
        self._mean, self._std = self._mean.to(device), self._std.to(device)
        return self

    def save(self, folder: Path) -> None:
        """Write config.json and safetensors weights in the layout of transformers."""
        with quiet():
            self.module.to(memory_format=torch.contiguous_format).save_pretrained(folder, max_shard_size=ONE_FILE)
        config = read_json(folder / CONFIG)
        write_json(folder / CONFIG, {key: value for key, value in config.items() if key not in VERSION_KEYS})

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the feature map of a layer, or its patch tokens as a map."""
        pixels = ((images + 1) / 2 - self._mean) / self._std
        with full_float32():
            outputs = self.module(pixels.contiguous(memory_format=torch.channels_last), **self._options)
        features: Tensor = (
            outputs.last_hidden_state if self.settings.layer is None else outputs.hidden_states[self.settings.layer]
        )
        return features if features.ndim == 4 else _as_map(features)


def _builder(folder: Path) -> Callable[[], nn.Module]:
    """Return a function that builds the model of a folder's config.json, without its weights."""
    transformers = import_transformers(PARAMETER)
    bounded_config(folder)
    with quiet(), without_network():
        config = transformers.AutoConfig.from_pretrained(str(folder.absolute()), **LOCAL)

    def build() -> nn.Module:
        module: nn.Module = transformers.AutoModel.from_config(config, trust_remote_code=False)
        return module

    return build


def _as_map(
    tokens: Tensor,  # (n, t, c)
) -> Tensor:  # (n, c, h, w)
    """Return the last h w tokens as a square map; fewer than 2 h + 1 other tokens stand before them."""
    count = tokens.shape[1]
    side = math.isqrt(count)
    patches = tokens[:, count - side * side :]
    return patches.transpose(1, 2).reshape(tokens.shape[0], -1, side, side)


def _settings(folder: Path, layer: int | None) -> BackboneSettings:
    """Return the settings with mean and deviation of the colours from preprocessor_config.json."""
    file = folder / PREPROCESSOR
    try:
        content = read_json(file)
        mean, std = (tuple(map(float, content[f"image_{name}"])) for name in ("mean", "std"))
        return BackboneSettings.model_validate({"mean": mean, "std": std, "layer": layer})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{file}: found no image_mean and image_std of three colours ({reason(error)}), which say how the model "
            f"wants its pixels. Copy the file from where the model is published."
        ) from error


def per_colour(values: tuple[float, ...]) -> Tensor:  # (3, 1, 1)
    """Return a value per colour in the shape that images broadcast with."""
    return torch.tensor(values).reshape(3, 1, 1)
