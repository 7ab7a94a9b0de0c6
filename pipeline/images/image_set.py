"""Images and their labels, and how an image becomes what an autoencoder takes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

UNKNOWN = -1
"""Label of an image that shows none of the ID classes."""


@dataclass(frozen=True)
class ImageSet:
    """Images to be read one by one, and their labels."""

    labels: NDArray[np.int32]  # (n,) index into class_names, or UNKNOWN
    class_names: tuple[str, ...]  # the ID classes, empty where no image shows one
    read: Callable[[int], Image.Image]  # any mode, any size
    files: dict[str, Any] | None = None  # of images in a folder: what was found in it, and what was left out
    paths: tuple[Path, ...] = ()  # of images in a folder: (n,) where each is

    def provenance(self) -> dict[str, Any]:
        """Return what the parameters do not say of where the images come from."""
        return {} if self.files is None else {"files": self.files}

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


def content_hash(image: Image.Image) -> int:
    """Return what names the picture, whatever file it was in: 8 bytes of a SHA-256, as a signed integer.

    The SHA-256 is over width and height (4 bytes each, little-endian) and the RGB pixels, line by line, at the image's
    own size; its first 8 bytes are read as little-endian too. A picture saved with losses is another picture.
    """
    found = hashlib.sha256(b"".join(side.to_bytes(4, "little") for side in image.size))
    found.update((image if image.mode == "RGB" else image.convert("RGB")).tobytes())
    return int.from_bytes(found.digest()[:8], "little", signed=True)


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:  # (size, size, 3)
    """Return an image as RGB of that size, bicubic; one that is so already is not sampled anew."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return np.asarray(rgb if rgb.size == (size, size) else rgb.resize((size, size), Image.Resampling.BICUBIC))


def from_8_bits(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return levels of 0..255 in -1..1, as Stable Diffusion's autoencoders take them, in the same shape."""
    scaled = values.astype(np.float32)
    scaled /= 127.5
    scaled -= 1.0
    return scaled
