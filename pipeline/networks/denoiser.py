"""The denoiser: a diffusers UNet, an embedding per class, and the noise schedule that it was trained with."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import save as tensor_bytes
from torch import Tensor, nn

from pipeline.networks.fitting import bounded_config, require_fitting
from pipeline.networks.tensor_file import read_tensors, require_finite
from pipeline.params.denoiser import DenoiserParams
from pipeline.runtime.errors import IncompatibleStoreError, ModelError, PipelineError, reason
from pipeline.runtime.files import read_description, read_json, write_bytes, write_json
from pipeline.runtime.huggingface import without_network
from pipeline.store.format import Header, LatentSpace, Standardisation

CARD, UNET, SCHEDULER, EMBEDDINGS = "denoiser.json", "unet", "scheduler", "classes.safetensors"
SCHEDULER_CONFIG, UNET_WEIGHTS = "scheduler_config.json", "diffusion_pytorch_model.safetensors"
ORIGIN_KEYS = ("_name_or_path", "_diffusers_version")
"""Where a model was and which version saved it. They are not written: the same model must have the same digest."""
UNREADABLE = (
    OSError, SafetensorError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError,
)  # fmt: skip
"""What libraries raise where files of a denoiser say what cannot be."""
HEAD_WIDTH = 8
"""Channels per attention head, the default of diffusers."""


class DenoiserCard(BaseModel):
    """The description of a denoiser's training data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["latent-outliers-denoiser/1"] = "latent-outliers-denoiser/1"
    space: LatentSpace
    standardisation: Standardisation
    class_names: tuple[str, ...]
    class_dropout: float
    """Share of rows that were shown without their class in training. At 0, sampling cannot use guidance."""


class TrainedDenoiser(NamedTuple):
    """A denoiser in evaluation mode, its schedule and its card."""

    denoiser: "Denoiser"
    schedule: Any
    card: DenoiserCard


class Denoiser(nn.Module):
    """Predicts the velocity v = alpha noise - sigma latent (Salimans and Ho 2022, https://arxiv.org/abs/2202.00512).

    Its condition is a vector that is added to the embedding of the noise level. The vector is the embedding of one
    class, a mix of class embeddings, or the embedding of no class.
    """

    def __init__(self, unet: Any, classes: int) -> None:
        super().__init__()
        self.unet = unet
        self.classes = nn.Embedding(classes + 1, unet.config.block_out_channels[0] * 4)  # the last: no class

    @property
    def no_class(self) -> int:
        """The label of a row without a class: the index of the last embedding."""
        return self.classes.num_embeddings - 1

    def forward(
        self,
        noisy: Tensor,  # (n, c, h, w)
        levels: Tensor,  # (n,), or () for one level
        condition: Tensor,  # (n, d)
    ) -> Tensor:  # (n, c, h, w)
        """Return the velocity of each noisy latent."""
        velocity: Tensor = self.unet(noisy, levels, class_labels=condition).sample
        return velocity

    def mixed(
        self,
        shares: Tensor,  # (n, k), sums of 1
    ) -> Tensor:  # (n, d)
        """Return the convex combination of class embeddings, the condition of a mix of labels."""
        return shares @ self.classes.weight[:-1]

    def unconditional(self, rows: int) -> Tensor:
        """Return the embedding of no class, repeated for every row, (rows, d)."""
        return self.classes.weight[-1:].expand(rows, -1)


def untrained(space: LatentSpace, classes: int, params: DenoiserParams) -> Denoiser:
    """Return a denoiser with fresh weights; raises PipelineError when its resolutions do not divide the latents."""
    from diffusers import UNet2DModel

    channels, *sides = space.shape
    if any(side % 2 ** (len(params.channels) - 1) for side in sides):
        raise PipelineError(
            f"denoiser.channels has {len(params.channels)} resolutions, but latents are {sides[0]} x {sides[1]} and "
            f"cannot be halved {len(params.channels) - 1} times. List fewer channels."
        )
    prefixes = ["Attn" if attention else "" for attention in params.attention]
    unet = UNet2DModel(
        sample_size=sides[0],
        in_channels=channels,
        out_channels=channels,
        block_out_channels=params.channels,
        down_block_types=tuple(f"{prefix}DownBlock2D" for prefix in prefixes),
        up_block_types=tuple(f"{prefix}UpBlock2D" for prefix in reversed(prefixes)),
        layers_per_block=params.layers_per_block,
        norm_num_groups=params.norm_groups,
        attention_head_dim=HEAD_WIDTH,
        class_embed_type="identity",
    )
    return Denoiser(unet, classes)


def noise_schedule(levels: int) -> Any:
    """Return the noise schedule of training and sampling, as a DDIM scheduler of diffusers.

    It is a cosine schedule (Nichol and Dhariwal 2021, https://arxiv.org/abs/2102.09672, eq. 17) with velocity
    prediction. Sampling starts at the last level, which is pure noise (Lin et al. 2023,
    https://arxiv.org/abs/2305.08891, section 3.3).
    """
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=levels,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
    )


def save_denoiser(folder: Path, denoiser: Denoiser, schedule: Any, card: DenoiserCard) -> None:
    """Write the UNet and the schedule in the layout of diffusers, the embeddings and, last, the card."""
    for name, component in ((UNET, denoiser.unet), (SCHEDULER, schedule)):
        component.save_pretrained(folder / name)
        for path in (folder / name).glob("*.json"):
            config = read_json(path)
            write_json(path, {key: value for key, value in config.items() if key not in ORIGIN_KEYS})
    write_bytes(folder / EMBEDDINGS, tensor_bytes({"classes": denoiser.classes.weight.detach().cpu().contiguous()}))
    write_json(folder / CARD, card.model_dump(mode="json"))


def load_denoiser(folder: Path, header: Header) -> TrainedDenoiser:
    """Return the denoiser of a folder, for latents with this header.

    Raises IncompatibleStoreError when it was trained on other latents, ModelError when it cannot be read.
    """
    from diffusers import DDIMScheduler, UNet2DModel

    try:
        card = DenoiserCard.model_validate_json(read_description(folder / CARD, inside=folder))
        for field in ("space", "standardisation", "class_names"):
            if (found := getattr(card, field)) != (wanted := getattr(header, field)):
                raise IncompatibleStoreError(folder, f"its {field.replace('_', ' ')}", found, wanted)
        unet_config = bounded_config(folder / UNET)
        bounded_config(folder / SCHEDULER, SCHEDULER_CONFIG)
        require_fitting(lambda: UNet2DModel.from_config(unet_config), folder / UNET / UNET_WEIGHTS)
        with without_network():
            unet = UNet2DModel.from_pretrained(
                folder / UNET, use_safetensors=True, low_cpu_mem_usage=False, local_files_only=True
            )
            schedule = DDIMScheduler.from_pretrained(folder / SCHEDULER, local_files_only=True)
        denoiser = Denoiser(unet, len(card.class_names))
        denoiser.classes.load_state_dict({"weight": read_tensors(folder / EMBEDDINGS, inside=folder)["classes"]})
        require_finite(denoiser.state_dict())
    except UNREADABLE as error:
        raise ModelError(f"{folder}: no denoiser could be read ({reason(error)}). Run `dvc repro denoiser`.") from error
    return TrainedDenoiser(denoiser.eval().requires_grad_(requires_grad=False), schedule, card)
