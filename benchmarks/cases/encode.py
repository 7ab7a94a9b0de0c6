"""Encode images in files, against the bare forward pass of the same model on tensors that lie in memory."""

import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.cases.case import Case
from benchmarks.weights.efficientnet_lite0 import MEAN, STD, lite0_config
from pipeline.images.decode import LARGEST_PIXELS
from pipeline.images.image_set import ImageSet, from_8_bits, resized
from pipeline.images.sources.folder import FolderImagesSource
from pipeline.latents.encoding import BatchEncoder, write_latents
from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder
from pipeline.networks.encoders.encoder import Encoder
from pipeline.networks.encoders.vision_backbone import PREPROCESSOR, VisionBackbone
from pipeline.params.encoder import EncoderParams
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.device import STAGE_THREADS, chosen_device
from pipeline.runtime.files import write_json
from pipeline.schema.reader import ParamsFile
from pipeline.training.autoencoder import untrained

BATCH = 64
SMALL, LARGE = 32, 256  # pixels
BACKBONE, PHOTOGRAPH = 224, 320
"""Side in pixels of the images of a backbone, and of the JPEG files that become these."""
BACKBONE_BATCH = 16
"""Images in a forward pass, on both sides. On a CPU the bare model too is faster in small batches."""
STABLE_DIFFUSION: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
}
"""Size of Stable Diffusion's autoencoder."""


def encode_cases(folder: Path) -> dict[str, Case]:
    """Return cases at 32 px with the small encoder that the pipeline trains, at 256 px with TAESD's, and of a backbone.

    On a GPU, which has nothing to do at 32 px, with Stable Diffusion's size in place of the small one.
    """
    diffusion = Size(LARGE, BATCH)
    if chosen_device().type == "cuda":
        return {
            "encode_256px_stable_diffusion_vs_bare_encoder": _case(
                folder / "large", stable_diffusion_autoencoder(), diffusion, 6 * BATCH, 3
            ),
            "encode_256px_taesd_vs_bare_encoder": _case(folder / "tiny", tiny_autoencoder(), diffusion, 16 * BATCH, 3),
        }
    (folder / "backbone").mkdir()
    backbone = random_efficientnet(folder / "backbone/model")
    photographic = Size(BACKBONE, BACKBONE_BATCH, file=PHOTOGRAPH)
    return {
        "encode_32px_small_vs_bare_encoder": _case(
            folder / "small", small_autoencoder(), Size(SMALL, BATCH), 50 * BATCH, 7
        ),
        "encode_256px_taesd_vs_bare_encoder": _case(folder / "tiny", tiny_autoencoder(), diffusion, 2 * BATCH, 3),
        "encode_224px_efficientnet_vs_bare_model": _case(
            folder / "backbone/images", backbone, photographic, 12 * BACKBONE_BATCH, 5
        ),
    }


@dataclass(frozen=True)
class Size:
    """Sides in pixels of encoded images and of the JPEG files that become these, and images in a forward pass."""

    pixels: int
    batch: int
    file: int = 32


def _case(folder: Path, model: DiffusersAutoencoder | VisionBackbone, size: Size, count: int, rounds: int) -> Case:
    """Return a case whose plain side is the module of diffusers or transformers alone, on pixels in memory."""
    folder.mkdir()
    encoder = Encoder(model).to(chosen_device())
    images = photographs(folder, count, size.file)
    batches = BatchEncoder(encoder, "bench", size.pixels, size.batch)
    held = _pixels(images, size.pixels).contiguous(memory_format=torch.channels_last).split(size.batch)
    bare = model.module if isinstance(model, VisionBackbone) else model.module.encode

    @torch.inference_mode()
    def plain() -> list[Any]:
        return [bare(batch) for batch in held]

    return Case(
        plain,
        lambda: write_latents(folder / "store", images, batches, {}, "bench"),
        0.9,
        rounds=rounds,
        threads=STAGE_THREADS,
        clear=lambda: shutil.rmtree(folder / "store", ignore_errors=True),
    )


def _pixels(images: ImageSet, size: int) -> torch.Tensor:  # (n, 3, s, s) in -1..1
    pixels = from_8_bits(np.stack([resized(images.read(row), size) for row in range(len(images))]))
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(chosen_device())


def random_efficientnet(folder: Path) -> VisionBackbone:
    """Return EfficientNet-Lite0 with random weights; what it computes costs the same."""
    import transformers

    torch.manual_seed(0)
    transformers.EfficientNetModel(lite0_config()).save_pretrained(folder)
    write_json(folder / PREPROCESSOR, {"image_mean": [MEAN] * 3, "image_std": [STD] * 3})
    return VisionBackbone.read(folder, None)


def photographs(folder: Path, count: int, side: int = 32) -> ImageSet:
    """Return patches of a photograph in JPEG files, as small photographs mostly come."""
    from sklearn.datasets import load_sample_image

    photograph, rng = load_sample_image("china.jpg"), np.random.default_rng(0)
    encoded = []
    for _ in range(count):
        top, left = (int(rng.integers(length - side)) for length in photograph.shape[:2])
        stream = BytesIO()
        Image.fromarray(photograph[top : top + side, left : left + side]).save(stream, "JPEG", quality=90)
        encoded.append(stream.getvalue())
    return files_of(folder, encoded)


def files_of(folder: Path, encoded: list[bytes]) -> ImageSet:
    """Write encoded images into a folder of one class, and return them as stage `encode` reads a folder."""
    (folder / "images").mkdir()
    for row, content in enumerate(encoded):
        (folder / "images" / f"{row:06}.jpg").write_bytes(content)
    source = FolderImagesSource(
        kind="folder_images",
        path=str(folder / "images"),
        images=None,
        on_bad_image="fail",
        largest_pixels=LARGEST_PIXELS,
        seed=0,
    )
    return source.open("all")


def small_autoencoder() -> DiffusersAutoencoder:
    """Return the autoencoder of the default parameters before its training; what it encodes costs the same."""
    torch.manual_seed(0)
    module = untrained(ParamsFile(PARAMS_FILE).section("encoder", EncoderParams).trained, SMALL)
    module.register_to_config(scaling_factor=1.0)
    return DiffusersAutoencoder(module)


def tiny_autoencoder() -> DiffusersAutoencoder:
    """Return an autoencoder of TAESD's size with random weights."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    module: Any = AutoencoderTiny()
    return DiffusersAutoencoder(module)


def stable_diffusion_autoencoder() -> DiffusersAutoencoder:
    """Return an autoencoder of Stable Diffusion's size with random weights; what it computes costs the same."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    module: Any = AutoencoderKL(**STABLE_DIFFUSION)
    return DiffusersAutoencoder(module)
