"""`dvc repro` goes from photographs to a bundle with every kind of encoder, and the bundle decides as the run did."""

import csv
import shutil

import numpy as np
import pytest

from pipeline.params.data import DataParams
from pipeline.posthoc.table_file import read_table
from pipeline.runtime.files import read_json
from tests.helpers.make import changed, section, tiny_params
from tests.helpers.models import write_backbone, write_onnx
from tests.helpers.project import call, make_project, stages_run
from tests.helpers.shared import require_efficientnet, shared
from tests.networks.encoders.test_diffusers_autoencoder import rae
from tests.project.kinds.photographs import IMAGES, photo_params, write_photographs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
VIEWS = {"views__count": 2, "views__flip": 0.5}
COLOURS = {"mean": [0.0] * 3, "std": [1.0] * 3}
HEADLINE = tiny_params()["score"]["headline"]
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def supervised(given):
    return photo_params(
        "supervised",
        64,
        encoder__supervised__epochs=2,
        encoder__supervised__widths=[8] * 3,
        rival__kind="cnn",
        rival__cnn__epochs=1,
        **VIEWS,
    )


def diffusers(given):
    rae().save_pretrained(given)
    settings = {"source": str(given), "subfolder": None, "revision": None, "variant": None}
    return photo_params("diffusers", 64, settings, encoder__channels=8)


def transformers(given):
    write_backbone(given, "dinov2")
    settings = {"source": str(given), "revision": None, "layer": None}
    return photo_params("transformers", 64, settings, encoder__channels=8, rival__kind="regression", **VIEWS)


def efficientnet(given):
    require_efficientnet()
    from benchmarks.weights.efficientnet_lite0 import write_backbone

    write_backbone(given)
    settings = {"source": str(given), "revision": None, "layer": None}
    return photo_params("transformers", 224, settings, encoder__channels=16, encode__batch_size=8)


def onnx(given):
    given.mkdir()
    write_onnx(given / "m.onnx")
    return photo_params("onnx", 64, {"file": str(given / "m.onnx"), "output": "map", **COLOURS})


def taef2(given):
    from benchmarks.weights.taef2 import pretrained_encoder, write_onnx

    network = pretrained_encoder(shared("weights/taef2"))
    given.mkdir()
    write_onnx(network, given / "m.onnx")
    return photo_params("onnx", 64, {"file": str(given / "m.onnx"), "output": "latents", **COLOURS})


def resnet56(given, layer):
    """A public classifier of CIFAR-10, on 200 of its images."""
    given.mkdir()
    shutil.copy(shared("weights/resnet56-cifar10.onnx"), given / "m.onnx")
    shutil.copy(shared("datasets/cifar10_test.parquet"), given / "images.parquet")
    images = {
        "kind": "parquet", "train": str(given / "images.parquet"), "test": 0.2, "image": "image", "label": "label",
        "class_names": list(CIFAR10), "held_out": [], "validation": 0.1,
        "limits": {"train": 140, "validation": 30, "test": 30, "held_out": None}, "seed": 0,
    }  # fmt: skip
    settings = {"file": str(given / "m.onnx"), "output": layer, **COLOURS}
    changes = photo_params("onnx", 32, settings)
    return changes | {"data": changed(changes["data"], sources__photos=images)}


def layer2(given):
    return resnet56(given, "layer2")


def layer3(given):
    return resnet56(given, "layer3")


def write_test_images(changes, folder):
    """Write the ID test images, in their order, as PNG files."""
    folder.mkdir()
    images = section(DataParams, changes["data"]).open("id_test")
    for row in range(len(images)):
        images.read(row).save(folder / f"{row:03}.png")


MAKE = [supervised, diffusers, transformers, efficientnet, onnx, taef2, layer2, layer3]


@pytest.mark.parametrize("make", MAKE, ids=lambda make: make.__name__)
def test_photographs_become_a_bundle_that_decides_as_the_run_did(make, tmp_path, monkeypatch):
    project, given = tmp_path / "project", tmp_path / "given"
    changes = make(given)
    write_photographs(project / IMAGES)
    make_project(project, **changes)
    ran = stages_run(call(project, "dvc", "repro"))
    assert (ran[0], ran[-1]) == ("encoder", "bundle")
    printed = call(project, "latent-outliers", "results")
    assert "noise" in printed
    assert ("What one would take instead" in printed) == ("rival__kind" in changes)
    assert read_json(project / "models/encoder/encoder.json")["model"]["kind"] == changes["encoder__kind"]
    table = read_table(project / "data/scores/scores.parquet")
    monkeypatch.chdir(project)
    write_test_images(changes, tmp_path / "pictures")
    shutil.copytree("models/bundle/0", tmp_path / "elsewhere/bundle")
    shutil.rmtree(given, ignore_errors=True)
    shutil.rmtree(project)
    call(tmp_path / "elsewhere", "latent-outliers", "predict", "--out", "answers.csv", "bundle", "../pictures")
    with (tmp_path / "elsewhere/answers.csv").open() as stream:
        answers = list(csv.DictReader(stream))
    wanted = table.scores["detector", "id_test", HEADLINE][0]
    found = np.array([float(answer["outlier_score"]) for answer in answers])
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3 * np.abs(wanted).max())
    labels = np.array([table.class_names.index(answer["label"]) for answer in answers])
    assert (labels == table.predicted["detector", "id_test"][0]).mean() > 0.9
