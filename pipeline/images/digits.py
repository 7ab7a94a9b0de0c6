"""scikit-learn's digits: real scans, in the package, so that the default run downloads nothing."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.image_set import UNKNOWN, ImageSet
from pipeline.images.params import DigitsSource


def digits(source: DigitsSource, part: str) -> ImageSet:
    """Return one part of the digits: 'train', 'validation' and 'test' of the ID classes, or 'held_out'.

    The split is stratified by class and depends on the seed only.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    scans = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), 17 gray levels
    kept = [digit for digit in range(10) if digit not in source.held_out]
    chosen = _rows(bunch.target, kept, source, part)
    labels = np.full(len(chosen), UNKNOWN, np.int32)
    for index, digit in enumerate(kept):
        labels[bunch.target[chosen] == digit] = index
    names = () if part == "held_out" else tuple(str(digit) for digit in kept)
    return ImageSet(labels, names, lambda index: Image.fromarray(scans[chosen[index]]))


def _rows(target: NDArray[np.int64], kept: list[int], source: DigitsSource, part: str) -> NDArray[np.int64]:
    if part == "held_out":
        return np.flatnonzero(~np.isin(target, kept))
    rng = np.random.default_rng(source.seed)
    chosen = []
    for digit in kept:
        rows = rng.permutation(np.flatnonzero(target == digit))
        test = round(len(rows) * source.test)
        validation = test + round(len(rows) * source.validation)
        chosen.append({"test": rows[:test], "validation": rows[test:validation], "train": rows[validation:]}[part])
    return np.sort(np.concatenate(chosen))
