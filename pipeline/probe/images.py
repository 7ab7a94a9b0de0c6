"""ID test images that went through the autoencoder, or through JPEG: pictures of the same things."""

from dataclasses import replace
from functools import lru_cache
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.autoencoder.model import Autoencoder
from pipeline.device import chosen_device
from pipeline.errors import ModelError
from pipeline.images.image_set import ImageSet


def reencoded(
    images: ImageSet,
    latents: NDArray[np.float16],  # (n, c, h, w), scaled, of these images
    autoencoder: Autoencoder,
    batch_size: int,
) -> ImageSet:
    """Return the images that the autoencoder makes of their latents, rounded to 8 bits, at the autoencoder's size.

    Every image is decoded in the same batch whichever is read first; a short batch is filled up with its last row.
    """

    @lru_cache(maxsize=1)
    def decoded(start: int) -> NDArray[np.uint8]:  # (batch_size, s, s, 3)
        rows = np.minimum(np.arange(start, start + batch_size), len(latents) - 1)
        batch = torch.from_numpy(latents[rows].astype(np.float32)).to(chosen_device())
        pictures = autoencoder.decode(batch)
        if not pictures.isfinite().all():
            raise ModelError(f"images decoded of latents {start} and on are not finite: the autoencoder diverged.")
        found: NDArray[np.uint8] = ((pictures + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return found

    def read(index: int) -> Image.Image:
        place = index % batch_size
        return Image.fromarray(decoded(index - place)[place])

    return replace(images, read=read)


def saved_as_jpeg(images: ImageSet, quality: int) -> ImageSet:
    """Return the images as Pillow reads them back from JPEG files of its own, gray ones as gray, at their own size."""

    def read(index: int) -> Image.Image:
        image = images.read(index)
        file = BytesIO()
        (image if image.mode == "L" else image.convert("RGB")).save(file, "JPEG", quality=quality)
        return Image.open(file, formats=["JPEG"])

    return replace(images, read=read)
