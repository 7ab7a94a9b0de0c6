"""Re-encoded ID test images: decoded from their latents, or saved as JPEG."""

from dataclasses import replace
from functools import lru_cache
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.image_set import ImageSet, content_hash
from pipeline.latents.latents import store_contents
from pipeline.networks.encoders.encoder import Encoder
from pipeline.runtime.device import chosen_device
from pipeline.runtime.errors import IncompatibleStoreError, ModelError
from pipeline.store.reader import Store


def reencoded(
    images: ImageSet,
    latents: NDArray[np.float16],  # (n, c, h, w), scaled, of these images
    encoder: Encoder,
    batch_size: int,
) -> ImageSet:
    """Return the images that an autoencoder decodes from their latents, rounded to 8 bits, at the size it encodes.

    An image is always decoded in the same batch, whichever image is read first. A short batch is filled up with its
    last row.
    """

    @lru_cache(maxsize=1)
    def decoded(start: int) -> NDArray[np.uint8]:  # (batch_size, s, s, 3)
        rows = np.minimum(np.arange(start, start + batch_size), len(latents) - 1)
        batch = torch.from_numpy(latents[rows].astype(np.float32)).to(chosen_device())
        pictures = encoder.decode(batch)
        if not pictures.isfinite().all():
            raise ModelError(f"images decoded of latents {start} and on are not finite: the encoder diverged.")
        levels: NDArray[np.uint8] = ((pictures + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return levels

    def read(index: int) -> Image.Image:
        position = index % batch_size
        return Image.fromarray(decoded(index - position)[position])

    return replace(images, read=read)


def saved_as_jpeg(images: ImageSet, quality: int) -> ImageSet:
    """Return the images after Pillow has saved them as JPEG and read them again; gray images stay gray.

    The size of an image does not change.
    """

    def read(index: int) -> Image.Image:
        image = images.read(index)
        file = BytesIO()
        (image if image.mode == "L" else image.convert("RGB")).save(file, "JPEG", quality=quality)
        return Image.open(file, formats=["JPEG"])

    return replace(images, read=read)


def checked_images(store: Store, images: ImageSet) -> ImageSet:
    """Return the images with a check: when an image is read, its content hash must be the one in the store.

    Raises IncompatibleStoreError when the latents of the store are not of these images.
    """
    if len(images) != store.rows:
        raise IncompatibleStoreError(str(store.source), "its number of rows", store.rows, len(images))
    contents = store_contents(store)

    def read(index: int) -> Image.Image:
        image = images.read(index)
        if (wanted := content_hash(image)) != contents[index]:
            subject = f"the content hash of image {index}"
            raise IncompatibleStoreError(str(store.source), subject, int(contents[index]), wanted)
        return image

    return replace(images, read=read)
