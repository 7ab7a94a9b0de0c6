"""Readers of single files: images, params.yaml and bundle.json."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.fuzz.broken import Random, mutated, replaced
from benchmarks.fuzz.run import Reader
from pipeline.detector.bundle import read_bundle
from pipeline.detector.bundle_card import BUNDLE, BUNDLE_FORMAT, sealed
from pipeline.images.decode import decode
from pipeline.images.encoded.no_picture import NoPictureError
from pipeline.params.all_params import AllParams, load_all
from pipeline.runtime.errors import PipelineError
from pipeline.schema.reader import validate
from pipeline.schema.text import dump_yaml

LARGEST_PIXELS = 1_000_000


def document_readers(folder: Path, params: dict[str, Any]) -> Iterator[Reader]:
    """Yield the readers; files of bundles and parameters are written below `folder`."""
    images, text, card = small_images(), dump_yaml(params).encode(), _bundle_card()
    file = folder / "params.yaml"

    def read_image(content: bytes) -> object:
        return decode(BytesIO(content), LARGEST_PIXELS)

    def read_params(content: bytes) -> object:
        file.write_bytes(content)
        return load_all(file)

    def validated(content: dict[str, Any]) -> object:
        return validate(file, AllParams, content)

    def read_card(content: bytes) -> object:
        (folder / BUNDLE).write_bytes(content)
        return read_bundle(folder)

    ours = (PipelineError,)
    yield Reader(
        "image reader", lambda rng: mutated(rng, images[rng.integers(len(images))]), read_image, (NoPictureError,), 100
    )
    yield Reader("params.yaml as bytes", lambda rng: mutated(rng, _excerpt(rng, text)), read_params, ours, 8)
    yield Reader("params.yaml by values", lambda rng: replaced(rng, params), validated, ours, 12)
    yield Reader("bundle.json as bytes", lambda rng: mutated(rng, sealed(card)), read_card, ours, 10)
    yield Reader("bundle.json by values", lambda rng: sealed(replaced(rng, card)), read_card, ours, 15)


def small_images() -> list[bytes]:
    """Return a small picture in every format that is read, and in several kinds of pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    kinds = {
        "PNG": "RGB RGBA P I;16", "JPEG": "RGB L CMYK", "WEBP": "RGB", "BMP": "RGB", "GIF": "P", "TIFF": "RGB 1 I;16",
        "AVIF": "RGB",
    }  # fmt: skip
    found = []
    for name, modes in kinds.items():
        for mode in modes.split():
            file = BytesIO()
            deep = mode == "I;16"
            picture = Image.fromarray(pixels[..., 0].astype(np.uint16)) if deep else Image.fromarray(pixels)
            (picture if deep else picture.convert(mode)).save(file, name)
            found.append(file.getvalue())
    return found


def unlike_picture(rng: Random) -> bytes:
    """Return a small PNG file of random pixels, which no other picture is like."""
    file = BytesIO()
    Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def _excerpt(rng: Random, text: bytes) -> bytes:
    """Return some lines of the parameter file: parsing all of it takes most of the time."""
    lines = text.splitlines(keepends=True)
    start = int(rng.integers(len(lines)))
    return b"".join(lines[start : start + 20])


def _bundle_card() -> dict[str, Any]:
    space = {"autoencoder": "a" * 64, "scaling_factor": 1.0, "image_size": 32, "shape": [4, 4, 4]}
    entry = {"dtype": "float32", "shape": [8, 64]}
    return {
        "format": BUNDLE_FORMAT,
        "network": {
            "format": "latent-outliers-network/4",
            "role": "detector",
            "seed": 0,
            "network": {"width": 8, "blocks": [1, 1], "latent_mean": False},
            "head": {"kind": "linear"},
            "space": space,
            "standardisation": {"mean": [0.0] * 4, "std": [1.0] * 4},
            "class_names": ["a", "b", "c"],
        },
        "decision": {
            "format": "latent-outliers-decision/1",
            "seed": 0,
            "weights": "b" * 64,
            "score": "knn",
            "threshold": 1.0,
            "id_rejection_target": 0.05,
            "id_rejection_validation": 0.04,
            "validation_images": 100,
        },
        "infer": {
            "knn_neighbours": 3,
            "gen": {"gamma": 0.1, "classes": None},
            "mahalanobis_pp_shrinkage": 0.5,
            "vim_principal": 0.5,
            "combined": {"images_per_class": 100, "neighbours": 3},
        },
        "id_train": "c" * 64,
        "files": {"network.safetensors": "d" * 64, "scorer.safetensors": "e" * 64, "encoder/encoder.json": "f" * 64},
        "tensors": {"network.safetensors": {"head.weight": entry}, "scorer.safetensors": {"bank": entry}},
    }
