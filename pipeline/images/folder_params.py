"""The sources of params.yaml that are folders of image files."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Count, Fraction, Name, Section, Seed
from pipeline.images.bomb import LARGEST_PIXELS
from pipeline.images.limits import Limits

Pixels = Annotated[int, Field(ge=1, le=LARGEST_PIXELS)]
OnBadImage = Literal["fail", "skip"]
"""What becomes of files that cannot be used: an error that names them, or left out, counted and listed."""


class FolderSource(Section):
    """Labelled images in a folder with one subfolder per class, some classes held out as near-OOD."""

    kind: Literal["folder"]
    path: Name
    """Of the folder, from the project's root. Its subfolders are the classes or, where `test` is null, the splits."""
    held_out: tuple[Name, ...]
    """Names of classes never trained on; may be empty."""
    validation: Fraction | None
    """Share of each ID class; null: what is in `validation/` or `val/`."""
    test: Fraction | None
    """Share of each ID class; null: what is in `test/`, and `train/` has the others."""
    limits: Limits
    on_bad_image: OnBadImage
    largest_pixels: Pixels
    """Larger images are refused before they are decoded."""
    seed: Seed

    @model_validator(mode="after")
    def _splits_are_possible(self) -> Self:
        if self.test is not None and self.validation is None:
            raise ValueError("validation is null, which is for folders with splits of their own; then test is null too")
        if (self.validation or 0) + (self.test or 0) > 0.9:
            raise ValueError(f"validation {self.validation} and test {self.test} leave less than a tenth for training")
        for index, name in enumerate(self.held_out):
            if name in self.held_out[:index]:
                raise ValueError(f"held_out has {name!r} twice")
        return self


class FolderImagesSource(Section):
    """Images in a folder and all folders in it, all of them OOD; what the folders are called does not matter."""

    kind: Literal["folder_images"]
    path: Name
    """Of the folder, from the project's root."""
    images: Count | None
    """At most so many, drawn at random; null: all of them."""
    on_bad_image: OnBadImage
    largest_pixels: Pixels
    seed: Seed
