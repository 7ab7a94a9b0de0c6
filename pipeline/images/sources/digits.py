"""scikit-learn's digits: real scans that come with the package, so that the default run downloads nothing."""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator

from pipeline.images.image_set import OOD_LABEL, ImageSet
from pipeline.images.sources.base import LABELLED_PARTS, ImageLocation, ImageSource
from pipeline.schema.section import Fraction, Seed


class DigitsSource(ImageSource):
    """scikit-learn's scanned digits (1,797 images of 8 x 8 pixels), some classes held out as near-OOD."""

    kind: Literal["digits"]
    held_out: tuple[Annotated[int, Field(ge=0, le=9)], ...] = Field(min_length=1, max_length=8)
    validation: Fraction
    test: Fraction
    seed: Seed

    @model_validator(mode="after")
    def _enough_remains_for_training(self) -> Self:
        if self.validation + self.test > 0.9:
            raise ValueError(f"validation {self.validation} and test {self.test} leave less than a tenth for training")
        return self

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the parts of the ID classes, and 'held_out'."""
        return LABELLED_PARTS

    def locations(self) -> dict[str, ImageLocation]:
        """Return no location: the digits come with scikit-learn."""
        return {}

    def open(self, part: str) -> ImageSet:
        """Return a part; the split is stratified by class and depends on the seed only."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        scans = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), 17 gray levels
        id_digits = [digit for digit in range(10) if digit not in self.held_out]
        chosen = _rows(bunch.target, id_digits, self, part)
        labels = np.full(len(chosen), OOD_LABEL, np.int32)
        for index, digit in enumerate(id_digits):
            labels[bunch.target[chosen] == digit] = index
        names = () if part == "held_out" else tuple(str(digit) for digit in id_digits)
        return ImageSet(labels, names, lambda index: Image.fromarray(scans[chosen[index]]))


def _rows(target: NDArray[np.int64], id_digits: list[int], source: DigitsSource, part: str) -> NDArray[np.int64]:
    if part == "held_out":
        return np.flatnonzero(~np.isin(target, id_digits))
    rng = np.random.default_rng(source.seed)
    chosen = []
    for digit in id_digits:
        rows = rng.permutation(np.flatnonzero(target == digit))
        test = round(len(rows) * source.test)
        validation = test + round(len(rows) * source.validation)
        chosen.append({"test": rows[:test], "validation": rows[test:validation], "train": rows[validation:]}[part])
    return np.sort(np.concatenate(chosen))
