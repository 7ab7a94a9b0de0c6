"""A detector runs where nothing is installed but the wheel and what it asks for: no DVC, zarr or scikit-learn."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline.detector.detector import Detector
from tests.detector.make import picture_files, tiny_bundle
from tests.helpers.make import ROOT

HEAVY = ("dvc", "datasets", "zarr", "sklearn", "matplotlib", "ray", "scipy", "pandas", "pyarrow")
SOURCES = ("pipeline", "stages", "pyproject.toml", "README.md", "LICENSE")
ASKS = """
import sys
from pipeline import Detector
for answer in Detector.load("bundle").predict(sys.argv[1:]):
    print(answer.label, answer.outlier_score, answer.is_outlier)
"""


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(wanted):
    """Return the names of all distributions that a list of requirements brings."""
    found, open_ends = set(), [(Requirement(line), ()) for line in wanted]
    while open_ends:
        requirement, extras = open_ends.pop()
        markers = [{"extra": extra} for extra in extras or ("",)]
        if requirement.marker and not any(requirement.marker.evaluate(values) for values in markers):
            continue
        name, asked = normalised(requirement.name), tuple(sorted(requirement.extras))
        if (name, asked) not in found:
            found.add((name, asked))
            open_ends += [(Requirement(line), asked) for line in distribution(name).requires or ()]
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel of a copy, as building leaves files beside what is built."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", folder / "dist", folder], check=True)
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def light(wheel, tmp_path_factory):
    """Return the Python of an empty environment with the wheel, and links to what it asks for."""
    folder = tmp_path_factory.mktemp("light")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        packages,
        wheel,
    ]
    subprocess.run(command, check=True)
    asked = next(path for path in packages.glob("latent_outliers-*.dist-info")) / "METADATA"
    lines = re.findall(r"^Requires-Dist: (.*)$", asked.read_text(), re.MULTILINE)
    for name in closure([line for line in lines if "extra ==" not in line]):
        for file in distribution(name).files:
            top, location = Path(file).parts[0], Path(distribution(name).locate_file(Path(file).parts[0]))
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(location)
    return folder / "bin/python"


def run(python, *arguments, cwd):
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LATENT_OUTLIERS_DEVICE": "cpu"}
    return subprocess.run([python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", HEAVY)
def test_nothing_heavy_is_there(name, light, tmp_path):
    assert "ModuleNotFoundError" in run(light, "-c", f"import {name}", cwd=tmp_path).stderr


@pytest.mark.parametrize("score", ["knn", "combined"])
def test_a_detector_answers_as_in_a_whole_installation(score, light, tmp_path):
    bundle, files = tiny_bundle(tmp_path / "bundle", score), picture_files(tmp_path / "images", 5)
    done = run(light, "-c", ASKS, *map(str, files), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for line, wanted in zip(done.stdout.splitlines(), Detector.load(bundle).predict(files), strict=True):
        label, score, is_outlier = line.rsplit(" ", 2)
        assert (label, is_outlier) == (wanted.label, str(wanted.is_outlier))
        assert float(score) == pytest.approx(wanted.outlier_score, rel=1e-3, abs=1e-3)  # another number of threads


def test_the_command_predicts(light, tmp_path):
    tiny_bundle(tmp_path / "bundle")
    picture_files(tmp_path / "images", 5)
    done = run(light, "-m", "pipeline", "predict", "bundle", "images", "--out", "answers.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["predict", "bundle", "images", "--out", "answers.parquet"], "[predict]"),
        (["check"], "[pipeline]"),
        (["export-onnx", "bundle", "--out", "detector.onnx"], "[onnx]"),
    ],
)
def test_what_needs_more_names_its_extra(arguments, wanted, light, tmp_path):
    tiny_bundle(tmp_path / "bundle")
    picture_files(tmp_path / "images", 2)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    done = run(light, "-m", "pipeline", *arguments, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert wanted in done.stderr


def test_help_needs_nothing_more(light, tmp_path):
    done = run(light, "-m", "pipeline", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Use its detector" in done.stdout
