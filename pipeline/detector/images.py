"""One image in any shape that people have it in, file, picture or array, as the pixels a detector judges."""

import os
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import ImageFileError
from pipeline.images.bomb import LARGEST_PIXELS
from pipeline.images.decode import NoPictureError, decode_file, picture
from pipeline.images.image_set import resized

OneImage = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]
"""A file; a picture of Pillow; or an array (h, w), (h, w, 3) or (h, w, 4) of 0..255."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""How names of images end; what else lies in a folder is no image."""


def is_one_image(images: object) -> TypeGuard[OneImage]:
    """Return whether this is a single image, and not several to go through."""
    if isinstance(images, np.ndarray):
        return images.ndim < 4
    return isinstance(images, str | os.PathLike | Image.Image)


def image_pixels(image: OneImage, size: int) -> NDArray[np.uint8]:
    """Return an image as (size, size, 3) of RGB, as the images were that the detector was trained on.

    Raises ImageFileError when a file is no image, and ValueError or TypeError for what no image can be.
    """
    if isinstance(image, np.ndarray):
        return resized(picture(_from_array(image)), size)
    if isinstance(image, Image.Image):
        try:
            return resized(picture(image), size)
        except NoPictureError as error:
            raise ValueError(f"a picture of mode {image.mode} is no image: {error}") from error
    if isinstance(image, str | os.PathLike):
        return read_pixels(image, size)
    raise TypeError(f"an image is a path, a PIL image or a NumPy array, not a {type(image).__name__}")


def read_pixels(file: str | os.PathLike[str], size: int) -> NDArray[np.uint8]:
    """Return the image in a file as (size, size, 3) of RGB, read as `docs/images.md` says of those to train on.

    Raises ImageFileError when it is not there, damaged, too large or of another format.
    """
    try:
        return resized(decode_file(file, LARGEST_PIXELS), size)
    except NoPictureError as error:
        raise _unreadable(file, str(error)) from error
    except OSError as error:
        raise _unreadable(file, error.strerror or "bytes that cannot be read") from error


def _from_array(array: NDArray[Any]) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        wanted = "(h, w), (h, w, 3) or (h, w, 4) of uint8"
        raise ValueError(f"an array of shape {array.shape} and {array.dtype} is no image; wanted {wanted}")
    return Image.fromarray(array)


def _unreadable(file: str | os.PathLike[str], found: str) -> ImageFileError:
    advice = "docs/images.md says what is one; mend the file or leave it out."
    return ImageFileError(os.fspath(file), found, "a picture", advice)
