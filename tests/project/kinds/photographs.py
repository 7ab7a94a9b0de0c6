"""A small project of real photographs: patches of scikit-learn's two pictures, and noise as outliers."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE, PER_CLASS = 64, 30
CLASSES = {"flower": "flower.jpg", "temple": "china.jpg"}
LIMITS = dict.fromkeys(("train", "validation", "test", "held_out"))
IMAGES = Path("data/images/photos")
SETS = {"id_train": "train", "id_validation": "validation", "id_test": "test"}


def write_photographs(folder):
    """Write patches that do not overlap as PNG files in a folder per class."""
    from sklearn.datasets import load_sample_image

    for name, file in CLASSES.items():
        picture = load_sample_image(file)
        rows, columns = (length // SIDE for length in picture.shape[:2])
        chosen = np.linspace(0, rows * columns - 1, PER_CLASS).astype(int)
        (folder / name).mkdir(parents=True)
        for place in chosen.tolist():
            top, start = (SIDE * number for number in divmod(place, columns))
            patch = Image.fromarray(picture[top : top + SIDE, start : start + SIDE])
            patch.save(folder / name / f"{place:02}.png")


def photo_params(kind, image_size, settings=None, **changes):
    """Return the changes of the tiny parameters that make a project of the photographs with an encoder of a kind."""
    photos = {
        "kind": "folder", "path": str(IMAGES), "held_out": [], "validation": 0.2, "test": 0.3, "limits": LIMITS,
        "on_bad_image": "fail", "largest_pixels": 10**6, "seed": 0,
    }  # fmt: skip
    noise = {"kind": "noise", "images": 12, "pixels": 16, "seed": 0}
    sets = {name: {"group": "id", "source": "photos", "part": part} for name, part in SETS.items()}
    sets["noise"] = {"group": "far", "source": "noise", "part": "all"}
    given = {} if settings is None else {f"encoder__{kind}": settings}
    return {
        "seeds": [0],
        "data": {"image_size": image_size, "sources": {"photos": photos, "noise": noise}, "sets": sets},
        "encoder__kind": kind,
        "encode__batch_size": 16,
        "synthesize__methods": ["perturb", "shuffle"],
        **given,
        **changes,
    }
