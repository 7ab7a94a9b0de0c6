"""Turn an image, given as a file, a Pillow picture or an array, into the pixels that a detector takes as input."""

import os
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from pipeline.images.decode import decode_file, default_largest_pixels, picture
from pipeline.images.encoded.no_picture import NoPictureError
from pipeline.images.image_set import resized
from pipeline.runtime.errors import ImageFileError

ImageInput = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]
"""A path, a Pillow picture, or an array (h, w), (h, w, 3) or (h, w, 4) of values 0..255."""


def is_single_image(images: object) -> TypeGuard[ImageInput]:
    """Return whether this is a single image rather than an iterable of images."""
    if isinstance(images, np.ndarray):
        return images.ndim < 4
    return isinstance(images, str | os.PathLike | Image.Image)


def image_pixels(image: ImageInput, size: int) -> NDArray[np.uint8]:
    """Return an image as RGB (size, size, 3), prepared like the detector's training images.

    A Pillow picture as it was opened from a file is turned upright by its EXIF orientation. A picture that was made
    from another one is taken as it is, since nobody can know whether it was turned already.

    Raises ImageFileError when a file is no image, and ValueError or TypeError for any other input that is no image.
    """
    if isinstance(image, np.ndarray):
        return resized(picture(_from_array(image)), size)
    if isinstance(image, Image.Image):
        try:
            return resized(picture(image, turn=isinstance(image, ImageFile.ImageFile)), size)
        except NoPictureError as error:
            raise ValueError(f"a picture of mode {image.mode} is no image: {error}") from error
    if isinstance(image, str | os.PathLike):
        return read_pixels(image, size)
    raise TypeError(f"an image is a path, a PIL image or a NumPy array, not a {type(image).__name__}")


def read_pixels(file: str | os.PathLike[str], size: int) -> NDArray[np.uint8]:
    """Return the image in a file as RGB (size, size, 3), read like training images; see `docs/images.md`.

    Raises ImageFileError when the file is missing, damaged, too large or of another format.
    """
    try:
        return resized(decode_file(file, default_largest_pixels()), size)
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
    advice = "docs/images.md says what is an image; mend the file or leave it out."
    return ImageFileError(os.fspath(file), found, "a picture", advice)
