"""Images and their labels, and the conversion of an image into the input of an encoder."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

OOD_LABEL = -1
"""Label of an image that shows none of the ID classes."""
BYTES = "bytes"
"""Field of a struct column with the bytes of an encoded image."""


@dataclass(frozen=True)
class ImageSet:
    """Labels of images, and a function that reads the images one by one."""

    labels: NDArray[np.int32]  # (n,) index into class_names, or OOD_LABEL
    class_names: tuple[str, ...]  # the ID classes; empty if no image shows one
    read: Callable[[int], Image.Image]  # any mode, any size
    files: dict[str, Any] | None = None  # for images in a folder: counts of the files in it, used and skipped
    paths: tuple[Path, ...] = ()  # for images in a folder: (n,) the file of each image

    def provenance(self) -> dict[str, Any]:
        """Return what the parameters do not say about the origin of the images."""
        return {} if self.files is None else {"files": self.files}

    def class_sizes(self) -> dict[str, int]:
        """Return the number of images of each ID class."""
        counts = Counter(self.labels.tolist())
        return {name: counts[label] for label, name in enumerate(self.class_names)}

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


def content_hash(image: Image.Image) -> int:
    """Return a hash that identifies the picture whatever file it is in: 8 bytes of a SHA-256, as a signed integer.

    The SHA-256 is over width and height (4 bytes each, little-endian) and the RGB pixels, line by line, at the image's
    original size. Its first 8 bytes are read as little-endian too. A copy saved with losses is another picture.
    """
    digest = hashlib.sha256(b"".join(side.to_bytes(4, "little") for side in image.size))
    digest.update((image if image.mode == "RGB" else image.convert("RGB")).tobytes())
    return int.from_bytes(digest.digest()[:8], "little", signed=True)


def resized(image: Image.Image, size: int) -> NDArray[np.uint8]:  # (size, size, 3)
    """Return an image as RGB of that size, by bicubic interpolation; an image of that size is not resampled."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return np.asarray(rgb if rgb.size == (size, size) else rgb.resize((size, size), Image.Resampling.BICUBIC))


def from_8_bits(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale levels of 0..255 to -1..1, the input of every encoder; the shape stays the same."""
    scaled = values.astype(np.float32)
    scaled /= 127.5
    scaled -= 1.0
    return scaled
