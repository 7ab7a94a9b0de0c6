"""Names that other programs read as something else: whatever `check` lets pass runs, and an experiment changes none."""

import numpy as np
import pytest
from PIL import Image

from pipeline.schema.reader import read_yaml
from pipeline.store.reader import Store
from tests.helpers.make import tiny_params, write_params
from tests.helpers.project import call, commit, make_project, stages_run

pytestmark = pytest.mark.slow

CLASSES = ("no", "010", "1e3", "null", "it's", 'say "hi"', "$(touch X)", "a; touch X", "日本語", "[red]fox", "$x$", " ")
SETS = ("no", "2024", "1e3", "null", "key")


def photographs(folder):
    """Write a folder per class, with pictures that differ."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for row in range(12):
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / name / f"{row}.png")


def params():
    noise = {"kind": "noise", "images": 5, "pixels": 8}
    photos = {
        "kind": "folder", "path": "data/images/photos", "held_out": ["no", "$(touch X)"], "validation": 0.2,
        "test": 0.2, "limits": {"train": None, "validation": None, "test": None, "held_out": None},
        "on_bad_image": "fail", "largest_pixels": 1_000_000, "seed": 0,
    }  # fmt: skip
    sets = {f"id_{part}": {"group": "id", "source": "0", "part": part} for part in ("train", "validation", "test")}
    sets |= {"held_out": {"group": "near", "source": "0", "part": "held_out"}}
    sets |= {name: {"group": "far", "source": name, "part": "all"} for name in SETS}
    sources = {"0": photos} | {name: noise | {"seed": row} for row, name in enumerate(SETS)}
    few = {"quality__neighbours": 5, "synthesize__perturb__neighbours": 5}  # of eight images of a class
    return tiny_params(data={"image_size": 16, "sources": sources, "sets": sets}, **few)


def test_every_name_that_passes_runs_and_outlives_an_experiment(tmp_path):
    folder = tmp_path / "project"
    make_project(folder)
    photographs(folder / "data/images/photos")
    write_params(folder, params())
    assert "good" in call(folder, "latent-outliers", "check")
    commit(folder, "names")
    ran = stages_run(call(folder, "dvc", "exp", "run", "--set-param", "guard.most_shared=1", "guard"))
    assert {f"encode@{name}" for name in SETS} <= {*ran}
    assert read_yaml(folder / "params.yaml")["data"] == params()["data"]
    assert Store(folder / "data/latents/id_train").header.class_names == tuple(
        sorted({*CLASSES} - {"no", "$(touch X)"})
    )
    assert not (folder / "X").exists()
    assert stages_run(call(folder, "dvc", "repro", "guard")) == []
