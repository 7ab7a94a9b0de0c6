"""Views: several augmented versions of every ID training image, to be encoded."""

from dataclasses import replace

import numpy as np
from PIL import Image

from pipeline.images.image_set import ImageSet
from pipeline.latents.augmentation import ViewKey, view
from pipeline.params.encode import ViewsParams


def viewed(images: ImageSet, size: int, params: ViewsParams) -> ImageSet:
    """Return all views of all images, those of an image one after the other.

    An image is read once: its views are asked for in order.
    """
    last: dict[int, Image.Image] = {}

    def read(index: int) -> Image.Image:
        row, number = divmod(index, params.count)
        image = last.get(row)
        if image is None:
            image = images.read(row).convert("RGB")
            last.clear()
            last[row] = image
        return Image.fromarray(view(image, size, params, ViewKey(params.seed, row, number)))

    return replace(images, labels=np.repeat(images.labels, params.count), read=read, files=None, paths=())
