"""A bundle with any kind of encoder decides elsewhere as it did where it was made."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.detector.bundle import write_bundle
from pipeline.detector.detector import Detector
from pipeline.networks.encoders.encoder import Encoder
from pipeline.networks.encoders.onnx_network import OnnxNetwork, OnnxSettings
from pipeline.networks.encoders.reduction import fit_reduction
from pipeline.networks.encoders.vision_backbone import VisionBackbone
from tests.detector.make import picture_files, tiny_bundle_parts
from tests.helpers.make import ROOT
from tests.helpers.models import encoder_of, random_kl, random_supervised, random_tiny, write_backbone, write_onnx

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
KINDS = ("trained", "supervised", "diffusers", "transformers", "onnx", "reduced")


def tiny_encoder(kind, folder):
    """Return an encoder of a kind with random weights, for images of 32 pixels."""
    torch.manual_seed(0)
    match kind:
        case "trained":
            return encoder_of(random_kl())
        case "supervised":
            return random_supervised()
        case "diffusers":
            return encoder_of(random_tiny())
        case "transformers":
            write_backbone(folder, "dinov2")
            return Encoder(VisionBackbone.read(folder, None))
        case "onnx":
            pytest.importorskip("onnxruntime")
            write_onnx(folder / "model.onnx")
            settings = OnnxSettings(output="map", mean=(0.5, 0.4, 0.3), std=(0.5, 0.5, 0.5))
            return Encoder(OnnxNetwork.read(folder / "model.onnx", settings))
        case "reduced":
            model = encoder_of(random_kl()).model
            maps = model.encode(torch.rand(8, 3, 32, 32) * 2 - 1)
            return Encoder(model, fit_reduction([maps], 2, 2))
    raise AssertionError(kind)


def moved_bundle(kind, folder):
    """Make a bundle, and return what it says of some files, then the only folder that is still there: a copy."""
    (folder / "given").mkdir()
    files = picture_files(folder / "files", 6)
    write_bundle(folder / "bundle", tiny_bundle_parts(folder, encoder=tiny_encoder(kind, folder / "given")), "")
    said = Detector.load(folder / "bundle").predict(files)
    shutil.copytree(folder / "bundle", folder / "far/away")
    for name in ("bundle", "models", "given", "id_train"):
        shutil.rmtree(folder / name)
    return files, said, folder / "far/away"


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_elsewhere_decides_the_same(kind, tmp_path):
    files, said, copy = moved_bundle(kind, tmp_path)
    assert Detector.load(copy).predict(files) == said
    assert len({answer.outlier_score for answer in said}) == len(files)


def test_the_command_line_decides_the_same_in_a_process_of_its_own(tmp_path):
    files, said, copy = moved_bundle("supervised", tmp_path)
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "pipeline", "predict", copy, tmp_path / "files", "--out", "answers.csv"]
    subprocess.run(
        [*command, "--batch-size", str(len(files))],
        cwd=tmp_path / "empty",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=120,
    )
    with (tmp_path / "empty/answers.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [Path(row["file"]) for row in rows] == files
    assert [row["is_outlier"] == "True" for row in rows] == [answer.is_outlier for answer in said]
    scores = [answer.outlier_score for answer in said]
    assert [float(row["outlier_score"]) for row in rows] == pytest.approx(scores, rel=1e-5)  # six digits
