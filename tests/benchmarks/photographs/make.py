"""Small Parquet files of random photographs, a folder drawn from them, and parts of made-up contestants."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.photographs.folders import Draw, Photographs
from benchmarks.photographs.judging import judged
from benchmarks.photographs.parts import Parts

DATASETS = Path("datasets")
COSTS = {"seconds": 90.0, "cpu_seconds": 120.0, "load": 0.5}
IMAGES = 24
"""Of each class of a file."""
SCORES = ("msp", "energy", "knn", "mahalanobis_pp", "combined")


def png(rng, colour=(128, 128, 128), size=(40, 36)):
    """A random picture about a colour, encoded."""
    noise = rng.integers(-60, 60, (*size, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def parquet(name, classes, seed):
    """Write a Parquet file in which each class has a colour of its own; rows of classes take turns."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(40, 216, (len(classes), 3))
    labels = list(range(len(classes))) * IMAGES
    images = [{"bytes": png(rng, colours[label]), "path": f"{row}.PNG"} for row, label in enumerate(labels)]
    info = {"info": {"features": {"label": {"names": list(classes)}}}}
    table = pa.table({"image": images, "label": labels}).replace_schema_metadata({"huggingface": json.dumps(info)})
    DATASETS.mkdir(exist_ok=True)
    pq.write_table(table, DATASETS / name)


def photographs(**changes):
    """Write the Parquet files, and return a folder of two known classes, a near one, far and foreign images."""
    parquet("things.parquet", ("bolt", "nut", "screw"), 0)
    parquet("others.parquet", ("sea", "sky"), 1)
    draws = {
        "id": Draw("things.parquet", ("bolt", "nut")),
        "near": Draw("things.parquet", ("screw",), images=12),
        "far": Draw("others.parquet", images=16),
        "foreign": Draw("others.parquet", images=10, skipped=16),
    }
    return Photographs(**{"name": "things", "title": "Things", "pixels": 32, **draws, "development": True} | changes)


def made_up(rng, shift, images=30):
    """What a contestant reaches whose OOD scores are moved up by `shift`, as `judged` tells it."""
    sets = ("id_validation", "id_test", "near", "far", "foreign")
    scores = {
        name: {score: rng.standard_normal(images) + shift * (not name.startswith("id")) for score in SCORES}
        for name in sets
    }
    return judged(scores, rng.random(images) < 0.8, 0.05)


def write_parts(parts, shifts, seeds=3, digest="as drawn"):
    """Write images, and parts of contestants by the shift of their OOD scores; logistic regression has one seed."""
    rng = np.random.default_rng(0)
    contents = {name: np.arange(30) + 30 * place for place, name in enumerate(("id_test", "near", "far"))}
    contents |= {name: np.arange(2) + 200 for name in ("id_train", "id_validation", "foreign")}
    parts.write_images(photographs(), contents)
    own = {"images": parts.read_images()["digest"] if digest == "as drawn" else digest}
    for name, shift in shifts.items():
        for seed in range(1 if name in ("frozen", "thumbnails") else seeds):
            found = made_up(rng, shift)
            if name in ("supervised", "backbone"):
                found |= {"headline": "combined", "teacher": made_up(rng, shift / 2)}
                del found["teacher"]["scores"]["combined"]["flagged"]["foreign"]
                found["run"] = {"stages": {"encode": 20.0, "train": 40.0}}
            parts.write(name, seed, own, COSTS, found)
    return parts


def parts_of(shifts, **options):
    """Parts in a folder of this test."""
    return write_parts(Parts(Path("parts")), shifts, **options)
