"""A Stable Diffusion model without its decoder. It turns prompts into embeddings, and noise into latents."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.networks.encoders.diffusers_autoencoder import autoencoder_class
from pipeline.networks.fitting import bounded_config
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import digest, file_digest, folder_files, read_json
from pipeline.runtime.huggingface import import_transformers, quiet, without_network
from pipeline.store.format import LatentSpace

KIND = "StableDiffusionPipeline"
INDEX, SCHEDULER, VAE = "model_index.json", "scheduler/scheduler_config.json", "vae/config.json"
CONFIGS = (INDEX, SCHEDULER, VAE, "text_encoder/config.json", "unet/config.json")
VOCABULARIES = (("tokenizer/vocab.json", "tokenizer/merges.txt"), ("tokenizer/tokenizer.json",))
FILES = (
    *CONFIGS,
    "tokenizer/*",
    "text_encoder/model.safetensors*",  # also matches the index of weights in several files
    "text_encoder/model-*.safetensors",
    "unet/diffusion_pytorch_model.safetensors*",
    "unet/diffusion_pytorch_model-*.safetensors",
)
"""Files that are read from a pipeline's folder, or fetched from the hub. The VAE's weights are not among them, since
nothing is decoded."""
OUTDATED = {"steps_offset": 1, "clip_sample": False}
"""Values that replace those in the schedules of old checkpoints, as in diffusers' own pipeline."""


@dataclass(frozen=True)
class TextToImage:
    """The parts of a Stable Diffusion pipeline that lead to a latent, in evaluation mode and float32.

    Half precision would be faster on a GPU. But there it would give other latents than on a CPU, in more than the last
    bits.
    """

    source: str
    tokenizer: Any
    text_encoder: Any
    unet: Any
    schedule: Any
    scaling_factor: float
    """Scaling factor of the model's VAE."""
    identity: dict[str, str | None]
    """The model's identity, whatever its source is called: the digest of a local folder, or the commit on the hub."""

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Tensor:  # (n, l, d)
        """Return the text encoder's embeddings of prompts, padded to l tokens.

        Raises ModelError when a prompt has more than l tokens.
        """
        limit = min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)
        with quiet():
            for prompt in prompts:
                if (length := len(self.tokenizer(prompt).input_ids)) > limit:
                    raise ModelError(
                        f"{self.source}: found {length} tokens in the prompt {prompt!r}, wanted at most {limit}. "
                        f"Shorten synthesize.dream.prompts or the class names."
                    )
            tokens = self.tokenizer(list(prompts), padding="max_length", max_length=limit, return_tensors="pt")
        inputs = tokens.to(self.text_encoder.device)
        mask = inputs.attention_mask if getattr(self.text_encoder.config, "use_attention_mask", False) else None
        embedded: Tensor = self.text_encoder(inputs.input_ids, attention_mask=mask)[0]
        return embedded

    def predict(
        self,
        noisy: Tensor,  # (n, c, h, w)
        level: Tensor,  # one noise level for all rows
        condition: Tensor,  # (n, l, d)
    ) -> Tensor:  # (n, c, h, w)
        """Return the UNet's prediction for noisy latents, conditioned on embeddings."""
        predicted: Tensor = self.unet(noisy, level, encoder_hidden_states=condition).sample
        return predicted

    def require(self, space: LatentSpace) -> None:
        """Raise ModelError unless this model makes latents of the given space."""
        channels, *sides = space.shape
        for subject, found, wanted in (
            ("UNet takes latents with channels", self.unet.config.in_channels, channels),
            ("VAE has the scaling factor", self.scaling_factor, space.scaling_factor),
        ):
            if found != wanted:
                raise ModelError(
                    f"{self.source}: its {subject} {found}, but the ID latents have {wanted}, so they come from "
                    f"another encoder. Set encoder.diffusers to this model's VAE, in its subfolder 'vae'."
                )
        halvings = len(self.unet.config.block_out_channels) - 1
        if any(side % 2**halvings for side in sides):
            pixels = space.image_size // sides[0] * 2**halvings
            raise ModelError(
                f"{self.source}: its UNet halves latents {halvings} times, but found latents of {sides[0]} x "
                f"{sides[1]}, wanted sides that are multiples of {2**halvings}. Choose a data.image_size that is a "
                f"multiple of {pixels}."
            )


def load_text_to_image(source: str, revision: str | None, device: torch.device) -> TextToImage:
    """Load a model from a local diffusers folder or from the hub; raises ModelError when that fails.

    Only weights in safetensors are read. Only code of diffusers and transformers is run, never code from the model's
    repository.
    """
    transformers = import_transformers("synthesize.dream.model")
    with _load_errors(source):
        folder, commit = _folder(source, revision)
        _require_layout(folder)
        with without_network():
            with quiet():
                tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
                encoder, encoder_loading = transformers.CLIPTextModel.from_pretrained(
                    folder / "text_encoder",
                    dtype=torch.float32,
                    use_safetensors=True,
                    output_loading_info=True,
                    local_files_only=True,
                )
            unet, unet_loading = _load_unet(folder)
        schedule, scaling_factor = _load_schedule(folder), _scaling_factor(folder)
    _require_all_tensors(source, encoder, encoder_loading)
    _require_all_tensors(source, unet, unet_loading)
    if len(tokenizer) > encoder.config.vocab_size or unet.config.cross_attention_dim != encoder.config.hidden_size:
        raise ModelError(
            f"{source}: found {len(tokenizer)} tokens and a UNet that reads {unet.config.cross_attention_dim} values "
            f"per token, wanted at most {encoder.config.vocab_size} tokens and {encoder.config.hidden_size} values, as "
            f"its text encoder has. Its parts come from different models: fetch the model again."
        )
    for module in (encoder, unet):
        module.eval().requires_grad_(requires_grad=False).to(device)
    identity = {"digest": _digest(folder) if commit is None else None, "commit": commit}
    return TextToImage(source, tokenizer, encoder, unet, schedule, scaling_factor, identity)


@contextmanager
def _load_errors(source: str) -> Iterator[None]:
    """Raise a ModelError for any error in the block."""
    try:
        yield
    except Exception as error:  # tokenizers raises nothing narrower
        raise ModelError(
            f"{source}: no text-to-image model could be loaded ({reason(error)}), wanted the folder of a diffusers "
            f"{KIND} with safetensors weights, or its id on the hub (needs a network). Correct "
            f"synthesize.dream.model, or fetch the model again."
        ) from error


def _folder(source: str, revision: str | None) -> tuple[Path, str | None]:
    """Return the folder to read, and the commit of the revision if the model comes from the hub.

    The path is absolute. A relative path of a folder that lacks a file would be taken for an id on the hub.
    """
    if Path(source).is_dir():
        return Path(source).absolute(), None
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download(source, revision=revision, allow_patterns=list(FILES)))
    return folder, folder.name


def _require_layout(folder: Path) -> None:
    """Raise OSError or ValueError unless the folder holds a complete pipeline of class KIND, its numbers within bounds.

    The vocabulary is checked too. A tokenizer would load without it, but would know no words.
    """
    if missing := [name for name in CONFIGS if not (folder / name).is_file()]:
        raise FileNotFoundError(f"it has no {', '.join(missing)}")
    if not any(all((folder / name).is_file() for name in names) for names in VOCABULARIES):
        raise FileNotFoundError(f"it has neither {' nor '.join(' with '.join(names) for names in VOCABULARIES)}")
    for name in CONFIGS:
        bounded_config((folder / name).parent, Path(name).name)
    if (kind := read_json(folder / INDEX)["_class_name"]) != KIND:
        raise ValueError(f"it is a {kind}")


def _load_unet(folder: Path) -> tuple[Any, dict[str, list[str]]]:
    import diffusers

    unet, loading = diffusers.UNet2DConditionModel.from_pretrained(
        folder / "unet",
        torch_dtype=torch.float32,
        use_safetensors=True,
        low_cpu_mem_usage=False,
        output_loading_info=True,
        local_files_only=True,
    )
    if unet.config.time_cond_proj_dim is not None:
        raise ValueError("its UNet was distilled to take the guidance as an input")
    return unet, loading


def _load_schedule(folder: Path) -> Any:
    import diffusers
    from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers as Schedules

    config = read_json(folder / SCHEDULER)
    if (kind := config["_class_name"]) not in Schedules.__members__:
        raise ValueError(f"its schedule is a {kind}, wanted {', '.join(Schedules.__members__)}")
    schedule = getattr(diffusers, kind).from_config(config)
    outdated = {name: value for name, value in OUTDATED.items() if name in schedule.config}
    return type(schedule).from_config(schedule.config, **outdated)


def _scaling_factor(folder: Path) -> float:
    """Return the scaling factor of the pipeline's VAE. Old configurations omit it, and the class default is used."""
    config = read_json(folder / VAE)
    initialiser = inspect.signature(autoencoder_class(config).__init__)
    return float(config.get("scaling_factor", initialiser.parameters["scaling_factor"].default))


def _require_all_tensors(source: str, module: nn.Module, loading: dict[str, Any]) -> None:
    if missing := sorted(loading["missing_keys"]):
        raise ModelError(
            f"{source}: its weights lack {len(missing)} tensors, {missing[0]!r} first; wanted all of a "
            f"{type(module).__name__}. The download or copy was cut short: fetch the model again."
        )


def _digest(folder: Path) -> str:
    """Return a digest of the names and contents of all files that are read."""
    names = {path: path.relative_to(folder).as_posix() for path in folder_files(folder)}
    read = [path for path, name in names.items() if any(fnmatchcase(name, pattern) for pattern in FILES)]
    return digest("\n".join(f"{names[path]} {file_digest(path)}" for path in read).encode())
