"""Make the folders of images that docs/tutorial.md uses, from scikit-learn's scanned digits.

DIR/photos/<class>/ has zero to seven, and one damaged file; DIR/new/ has images that are in no other folder: known ones
and, under names that begin with `other`, eights and nines, which nobody tells the detector about.
"""  # noqa: INP001  # it is run, and never imported

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven")
NEW_PER_CLASS, PHOTOS_PER_CLASS = 5, 75


def main(folder: Path) -> None:
    """Write all files."""
    digits = load_digits()
    seen: dict[int, int] = {}
    for scan, digit in zip(digits.images, digits.target.tolist(), strict=True):
        number = seen[digit] = seen.get(digit, 0) + 1
        name = CLASSES[digit] if digit < len(CLASSES) else "other"
        if number <= NEW_PER_CLASS:
            write(folder / "new" / f"{name}-{digit}-{number}.png", scan)
        elif name != "other" and number <= NEW_PER_CLASS + PHOTOS_PER_CLASS:
            write(folder / "photos" / name / f"{number:03}.png", scan)
    (folder / "photos" / "three" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")


def write(file: Path, scan: np.ndarray) -> None:
    """Write a scan of 0..16 as a PNG file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(scan / 16 * 255).astype(np.uint8)).save(file)


main(Path(sys.argv[1]))
