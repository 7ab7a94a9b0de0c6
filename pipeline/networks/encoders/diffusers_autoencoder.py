"""Autoencoders of diffusion models, in diffusers' layout: pixels to the latents that their diffusion models work on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from pipeline.networks.encoders.model import EncoderModel, ModelSettings
from pipeline.networks.fitting import CONFIG, affordable_shapes, bounded_config, require_fitting
from pipeline.runtime.device import full_float32
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import read_json, write_json
from pipeline.runtime.huggingface import without_network

WEIGHTS = "diffusion_pytorch_model.safetensors"
PATTERNS = (CONFIG, "*.safetensors", "*.safetensors.index*.json")
CLASSES = (
    "AsymmetricAutoencoderKL",
    "AutoencoderDC",
    "AutoencoderKL",
    "AutoencoderKLFlux2",
    "AutoencoderRAE",
    "AutoencoderTiny",
)
"""The classes of diffusers that are loaded: autoencoders of single images whose encoder is not random. Never another
one: a name in a model's files must not choose what runs."""
ONE_FILE = "1TB"
"""A model is saved in one file."""
ORIGIN_KEYS = ("_name_or_path", "_diffusers_version")
"""Where a model was and which version saved it. They are not written: the same model must have the same digest."""


class DiffusersSettings(ModelSettings):
    """Nothing: config.json says all."""

    kind: Literal["diffusers"] = "diffusers"


class DiffusersAutoencoder(EncoderModel):
    """An autoencoder of diffusers in evaluation mode, computed in float32.

    Latents are those of the diffusion models that the class was made for:

        (posterior mean or code - mean) * factor

    where mean and factor come from `shift_factor`, `scaling_factor`, `latents_mean` and `latents_std` of the
    configuration. AutoencoderKLFlux2 first moves 2 x 2 places into channels and has running statistics in place of
    them. AutoencoderRAE takes and gives pixels in 0..1 and normalises by itself.
    """

    settings = DiffusersSettings()
    can_decode = True

    def __init__(self, module: Any) -> None:
        self.module = module.float().eval().requires_grad_(requires_grad=False)
        self.name = type(module).__name__
        self.scaling_factor = float(module.config.get("scaling_factor") or 1.0)
        self._mean, self._factor = self._normalisation()

    @classmethod
    def load(cls, folder: Path, variant: str | None = None) -> Self:
        """Read config.json and safetensors weights; `variant` names those of a model published with several."""
        model_class = _model_class(folder)
        try:
            with without_network():
                module, loading_info = model_class.from_pretrained(
                    str(folder.absolute()),  # a relative path may also be an id on the hub
                    use_safetensors=True,
                    variant=variant,
                    local_files_only=True,
                    token=False,
                    low_cpu_mem_usage=False,
                    torch_dtype=torch.float32,
                    output_loading_info=True,
                )
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"{folder}: no {model_class.__name__} could be read ({reason(error)}). Wanted a folder with "
                f"config.json and safetensors weights that fit it."
            ) from error
        if missing := loading_info["missing_keys"]:
            raise ModelError(
                f"{folder}: its weights lack {len(missing)} tensors, {missing[0]!r} first; wanted all of a "
                f"{model_class.__name__}. The download or copy was cut short: fetch the model again."
            )
        return cls(module)

    @staticmethod
    def require_fitting(folder: Path) -> None:
        """Raise unless the weights in a folder are those of the class and sizes that its config.json gives."""
        require_fitting(_builder(folder), folder / WEIGHTS)

    @staticmethod
    def require_affordable(folder: Path) -> None:
        """Raise unless the model that a folder's config.json describes fits into the memory of this machine."""
        affordable_shapes(_builder(folder), folder)

    def to(self, device: torch.device) -> Self:
        """Move to `device`, in the memory layout in which convolutions are fastest."""
        self.module.to(device, memory_format=torch.channels_last)
        self._mean, self._factor = self._mean.to(device), self._factor.to(device)
        return self

    def save(self, folder: Path) -> None:
        """Write config.json and safetensors weights in the layout of diffusers."""
        self.module.to(memory_format=torch.contiguous_format).save_pretrained(
            folder, safe_serialization=True, max_shard_size=ONE_FILE
        )
        config = read_json(folder / CONFIG)
        write_json(folder / CONFIG, {key: value for key, value in config.items() if key not in ORIGIN_KEYS})

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the normalised posterior mean, or the normalised code of an autoencoder without a posterior."""
        if self.name == "AutoencoderRAE":
            images = (images + 1) / 2
        with full_float32():
            encoded = self.module.encode(images.contiguous(memory_format=torch.channels_last))
        return (self._code(encoded) - self._mean) * self._factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return the images of latents, clipped to -1..1."""
        code = latents / self._factor + self._mean
        if self.name == "AutoencoderKLFlux2":
            code = pixel_shuffle(code, 2)
        images: Tensor = self.module.decode(code).sample
        if self.name == "AutoencoderRAE":
            images = 2 * images - 1
        return images.clamp(-1.0, 1.0)

    def _code(self, encoded: Any) -> Tensor:
        """Return the posterior mean or the code; classes of diffusers name it differently."""
        if hasattr(encoded, "latent_dist"):
            code: Tensor = encoded.latent_dist.mean
        else:
            code = encoded.latents if hasattr(encoded, "latents") else encoded.latent
        return pixel_unshuffle(code, 2) if self.name == "AutoencoderKLFlux2" else code

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        """Return mean and factor per channel, each (1 or c, 1, 1)."""
        config = self.module.config
        if self.name == "AutoencoderRAE":
            return torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
        if self.name == "AutoencoderKLFlux2":
            norm = self.module.bn
            return _per_channel(norm.running_mean), _per_channel((norm.running_var + norm.eps).rsqrt())
        if config.get("latents_mean") is not None and config.get("latents_std") is not None:
            mean, std = torch.tensor(config.latents_mean), torch.tensor(config.latents_std)
            return _per_channel(mean), _per_channel(self.scaling_factor / std)
        shift = float(config.get("shift_factor") or 0.0)
        return torch.full((1, 1, 1), shift), torch.full((1, 1, 1), self.scaling_factor)


def autoencoder_class(config: Any) -> Any:
    """Return the class of diffusers that a config.json names; raises ValueError unless it is one of CLASSES."""
    import diffusers

    name = config.get("_class_name") if isinstance(config, dict) else None
    if name not in CLASSES:
        raise ValueError(
            f"found the class {str(name)[:100]!r}, wanted one of {', '.join(CLASSES)}. In a complete pipeline it is in "
            f"a subfolder, mostly 'vae': name that"
        )
    return getattr(diffusers, name)


def _model_class(folder: Path) -> Any:
    """Return the class that a folder's config.json names, whose values are within bounds."""
    try:
        return autoencoder_class(bounded_config(folder))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder / CONFIG}: no autoencoder of diffusers ({reason(error)}).") from error


def _builder(folder: Path) -> Callable[[], nn.Module]:
    """Return a function that builds the model of a folder's config.json, without its weights."""
    model_class, config = _model_class(folder), bounded_config(folder)

    def build() -> nn.Module:
        module: nn.Module = model_class.from_config(config)
        return module

    return build


def _per_channel(values: Tensor) -> Tensor:
    return values.detach().float().reshape(-1, 1, 1)
