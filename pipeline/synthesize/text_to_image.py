"""A Stable Diffusion model without its decoder: prompts to embeddings, embeddings and noise to latents."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import ModelError, reason
from pipeline.files import digest, file_digest, folder_files, read_json
from pipeline.huggingface import import_transformers, quiet
from pipeline.store.format import LatentSpace

KIND = "StableDiffusionPipeline"
INDEX, SCHEDULER, VAE = "model_index.json", "scheduler/scheduler_config.json", "vae/config.json"
CONFIGS = (INDEX, SCHEDULER, VAE, "text_encoder/config.json", "unet/config.json")
WORDS = (("tokenizer/vocab.json", "tokenizer/merges.txt"), ("tokenizer/tokenizer.json",))
FILES = (
    *CONFIGS,
    "tokenizer/*",
    "text_encoder/model.safetensors*",  # with the index of weights in pieces
    "text_encoder/model-*.safetensors",
    "unet/diffusion_pytorch_model.safetensors*",
    "unet/diffusion_pytorch_model-*.safetensors",
)
"""What is read of a pipeline's folder, and asked of the hub. No weights of the VAE are among it: nothing is decoded."""
OUTDATED = {"steps_offset": 1, "clip_sample": False}
"""What diffusers' own pipeline corrects in the schedules of old checkpoints."""


@dataclass(frozen=True)
class TextToImage:
    """The parts of a Stable Diffusion pipeline that end at a latent, in evaluation mode and float32.

    Half precision would be faster on a GPU, and would give other latents there than on a CPU, in more than last bits.
    """

    source: str
    tokenizer: Any
    text_encoder: Any
    unet: Any
    schedule: Any
    scaling_factor: float
    """Of its own VAE."""
    identity: dict[str, str | None]
    """Which model it is, however it was asked for: the digest of a local folder, the commit of the hub."""

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Tensor:  # (n, l, d)
        """Return what the text encoder says of prompts, padded to l tokens; raises ModelError when one has more."""
        most = min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)
        with quiet():
            for prompt in prompts:
                if (length := len(self.tokenizer(prompt).input_ids)) > most:
                    raise ModelError(
                        f"{self.source}: found {length} tokens in the prompt {prompt!r}, wanted at most {most}. "
                        f"Shorten synthesize.dream.prompts or the names of the classes."
                    )
            tokens = self.tokenizer(list(prompts), padding="max_length", max_length=most, return_tensors="pt")
        given = tokens.to(self.text_encoder.device)
        mask = given.attention_mask if getattr(self.text_encoder.config, "use_attention_mask", False) else None
        embedded: Tensor = self.text_encoder(given.input_ids, attention_mask=mask)[0]
        return embedded

    def predict(
        self,
        noisy: Tensor,  # (n, c, h, w)
        level: Tensor,  # one for all
        condition: Tensor,  # (n, l, d)
    ) -> Tensor:  # (n, c, h, w)
        """Return what the UNet says of noisy latents, asked for these embeddings."""
        predicted: Tensor = self.unet(noisy, level, encoder_hidden_states=condition).sample
        return predicted

    def require(self, space: LatentSpace) -> None:
        """Raise ModelError unless latents of this space are latents of this model."""
        channels, *sides = space.shape
        for what, found, wanted in (
            ("UNet takes latents with channels", self.unet.config.in_channels, channels),
            ("VAE has the scaling factor", self.scaling_factor, space.scaling_factor),
        ):
            if found != wanted:
                raise ModelError(
                    f"{self.source}: its {what} {found}, but the ID latents have {wanted}, so they are of another "
                    f"autoencoder. Set autoencoder.pretrained to this model's VAE, which lies in its subfolder 'vae'."
                )
        halvings = len(self.unet.config.block_out_channels) - 1
        if any(side % 2**halvings for side in sides):
            pixels = space.image_size // sides[0] * 2**halvings
            raise ModelError(
                f"{self.source}: its UNet halves latents {halvings} times, but found latents of {sides[0]} x "
                f"{sides[1]}. Choose a data.image_size that is a multiple of {pixels}."
            )


def load_text_to_image(source: str, revision: str | None, device: torch.device) -> TextToImage:
    """Load from a local diffusers folder or the hub; raises ModelError when it is neither.

    Safetensors only, and no code but that of diffusers and transformers: what a repository brings along is never run.
    """
    transformers = import_transformers("synthesize.dream.model")
    with _refused(source):
        folder, commit = _folder(source, revision)
        _require_layout(folder)
        with quiet():
            tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer")
            encoder, encoder_loading = transformers.CLIPTextModel.from_pretrained(
                folder / "text_encoder", dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
        unet, unet_loading = _load_unet(folder)
        schedule, scaling_factor = _load_schedule(folder), _scaling_factor(folder)
    _require_whole(source, encoder, encoder_loading)
    _require_whole(source, unet, unet_loading)
    if len(tokenizer) > encoder.config.vocab_size or unet.config.cross_attention_dim != encoder.config.hidden_size:
        raise ModelError(
            f"{source}: found {len(tokenizer)} tokens and a UNet that reads {unet.config.cross_attention_dim} values "
            f"of each, wanted at most {encoder.config.vocab_size} and {encoder.config.hidden_size}, as its text "
            f"encoder has them. Its parts are of different models: get it again."
        )
    for module in (encoder, unet):
        module.eval().requires_grad_(requires_grad=False).to(device)
    identity = {"digest": _digest(folder) if commit is None else None, "commit": commit}
    return TextToImage(source, tokenizer, encoder, unet, schedule, scaling_factor, identity)


@contextmanager
def _refused(source: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # tokenizers raises nothing narrower
        raise ModelError(
            f"{source}: no text-to-image model could be loaded ({reason(error)}). Wanted the folder of a diffusers "
            f"{KIND} with safetensors weights, or the id of one on the hub (needs a network)."
        ) from error


def _folder(source: str, revision: str | None) -> tuple[Path, str | None]:
    """Return the folder to read, and of a model on the hub the commit that its revision stands for.

    The path is absolute, because a relative one that lacks a part would be taken for an id on the hub.
    """
    if Path(source).is_dir():
        return Path(source).absolute(), None
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download(source, revision=revision, allow_patterns=list(FILES)))
    return folder, folder.name


def _require_layout(folder: Path) -> None:
    """Raise OSError or ValueError unless the folder is that of a pipeline of the one kind whose loop this is.

    Without its vocabulary a tokenizer would still load, and know no words.
    """
    if absent := [name for name in CONFIGS if not (folder / name).is_file()]:
        raise FileNotFoundError(f"it has no {', '.join(absent)}")
    if not any(all((folder / name).is_file() for name in names) for names in WORDS):
        raise FileNotFoundError(f"it has neither {' nor '.join(' with '.join(names) for names in WORDS)}")
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
    )
    if unet.config.time_cond_proj_dim is not None:
        raise ValueError("its UNet was distilled to take the guidance as an input")
    return unet, loading


def _load_schedule(folder: Path) -> Any:
    import diffusers

    config = read_json(folder / SCHEDULER)
    schedule = getattr(diffusers, config["_class_name"]).from_config(config)
    outdated = {name: value for name, value in OUTDATED.items() if name in schedule.config}
    return type(schedule).from_config(schedule.config, **outdated)


def _scaling_factor(folder: Path) -> float:
    """Return what latents of the pipeline's VAE are multiplied by; old configurations leave it to its class."""
    import diffusers

    config = read_json(folder / VAE)
    initialiser = inspect.signature(getattr(diffusers, config["_class_name"]).__init__)
    return float(config.get("scaling_factor", initialiser.parameters["scaling_factor"].default))


def _require_whole(source: str, module: nn.Module, loading: dict[str, Any]) -> None:
    if absent := sorted(loading["missing_keys"]):
        raise ModelError(
            f"{source}: its weights lack {len(absent)} tensors, {absent[0]!r} first; wanted all of a "
            f"{type(module).__name__}. The download or copy was cut short: get it again."
        )


def _digest(folder: Path) -> str:
    """Return one digest of the names and contents of the files that are read."""
    names = {path: path.relative_to(folder).as_posix() for path in folder_files(folder)}
    read = [path for path, name in names.items() if any(fnmatchcase(name, pattern) for pattern in FILES)]
    return digest("\n".join(f"{names[path]} {file_digest(path)}" for path in read).encode())
