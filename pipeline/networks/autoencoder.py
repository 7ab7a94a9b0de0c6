"""Any diffusers autoencoder with two methods: pixels to scaled latents, and scaled latents to pixels."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.networks.encoder_config import encoder_class
from pipeline.runtime.device import full_float32
from pipeline.runtime.errors import ModelError
from pipeline.runtime.files import folder_digest, read_json, write_json
from pipeline.runtime.huggingface import without_network

CONFIG = "config.json"
ORIGIN_KEYS = ("_name_or_path", "_diffusers_version")
"""Where a model was and which version saved it. They are not written: the same model must have the same digest."""


class Autoencoder:
    """A diffusers autoencoder in evaluation mode.

    module: AutoencoderKL, AutoencoderTiny or another of ENCODERS.
    """

    def __init__(self, module: nn.Module, source: str) -> None:
        config: Any = module.config
        if not (hasattr(module, "encode") and hasattr(module, "decode") and "scaling_factor" in config):
            raise ModelError(
                f"{source}: found a {type(module).__name__}, wanted a diffusers autoencoder with `encode`, `decode` "
                f"and a scaling factor. In a complete diffusers pipeline it is in a subfolder, mostly 'vae': name that."
            )
        self.module: Any = module.eval().requires_grad_(requires_grad=False)
        self.scaling_factor = float(config.scaling_factor)

    @classmethod
    def load(cls, source: str | Path, subfolder: str | None = None, revision: str | None = None) -> "Autoencoder":
        """Load from a local folder or, unless `source` is a path, the hub; raises ModelError if it is no autoencoder.

        While a folder is read, nothing is asked of the hub.
        """
        import diffusers

        local = isinstance(source, Path) or Path(source).is_dir()
        location = str(Path(source).absolute()) if local else source  # a relative path may also be an id on the hub
        origin = {"subfolder": subfolder, "revision": revision, "local_files_only": local}
        try:
            with without_network(when=local):
                config = diffusers.AutoModel.load_config(location, **origin)
                module, loading_info = encoder_class(config).from_pretrained(
                    location, use_safetensors=True, low_cpu_mem_usage=False, output_loading_info=True, **origin
                )
        except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(
                f"{source}: no diffusers autoencoder could be loaded ({reason}). "
                f"Wanted a folder with config.json and safetensors weights, or an id on the hub (needs a network)."
            ) from error
        if missing := loading_info["missing_keys"]:
            raise ModelError(
                f"{source}: its weights lack {len(missing)} tensors, {missing[0]!r} first; wanted all of a "
                f"{type(module).__name__}. The download or copy was cut short: fetch the model again."
            )
        return cls(module, str(source))

    def to(self, device: torch.device) -> "Autoencoder":
        """Move to `device`, in the memory layout in which convolutions are fastest."""
        self.module.to(device, memory_format=torch.channels_last)
        return self

    def save(self, folder: Path) -> None:
        """Write config.json and safetensors weights in the layout of diffusers."""
        self.module.to(memory_format=torch.contiguous_format).save_pretrained(folder, safe_serialization=True)
        config = read_json(folder / CONFIG)
        write_json(folder / CONFIG, {key: value for key, value in config.items() if key not in ORIGIN_KEYS})

    @torch.no_grad()
    def encode(
        self,
        images: Tensor,  # (n, 3, s, s) in -1..1
    ) -> Tensor:  # (n, c, s / 8, s / 8)
        """Return the scaled posterior mean, or the scaled code of an autoencoder without a posterior."""
        with full_float32():
            encoded = self.module.encode(images.contiguous(memory_format=torch.channels_last))
        code: Tensor = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
        return code * self.scaling_factor

    @torch.no_grad()
    def decode(
        self,
        latents: Tensor,  # (n, c, h, w), scaled
    ) -> Tensor:  # (n, 3, 8h, 8w) in -1..1
        """Return the images of scaled latents, clipped to -1..1. They are for people to look at, not for training."""
        images: Tensor = self.module.decode(latents / self.scaling_factor).sample
        return images.clamp(-1.0, 1.0)


def load_stage_output(folder: Path) -> tuple[Autoencoder, str]:
    """Return the autoencoder that stage `autoencoder` wrote, and the folder's digest, which its latents record."""
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder}: found no config.json, wanted the output of stage `autoencoder`; run `dvc repro`.")
    return Autoencoder.load(folder), folder_digest(folder)
