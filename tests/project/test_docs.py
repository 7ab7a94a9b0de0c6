"""Code in the documentation is run as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest
import typer

from pipeline.runtime import errors
from pipeline.runtime.errors import PipelineError
from pipeline.store.reader import Store
from tests.detector.make import picture_files, tiny_bundle
from tests.helpers.make import ROOT, outliers_store
from tests.helpers.project import call, commit, make_repository


def python_blocks(name):
    return re.findall(r"```python\n(.+?)```", (ROOT / "docs" / name).read_text(), re.DOTALL)


@pytest.fixture
def store(tmp_path):
    return outliers_store(tmp_path / "data/outliers/perturb")


def test_a_store_is_read_without_this_project(store):
    found = {}
    exec(python_blocks("shards.md")[0], found)
    np.testing.assert_array_equal(found["scaled"], Store(store).latents())
    assert found["classes"][:4] == ["class 0", "class 1", "class 2", "class 0"]


def test_a_revision_is_read_without_this_project(store, tmp_path):
    make_repository(tmp_path)
    call(tmp_path, "dvc", "add", "--quiet", store)
    commit(tmp_path, "a store")
    call(tmp_path, "git", "tag", "v1")
    found = {}
    exec(python_blocks("shards.md")[1].replace("git@example.org:team/project.git", str(tmp_path)), found)
    np.testing.assert_array_equal(found["group"]["latent"][:], Store(store).latents())


def write_features(file):
    """Write features of a network that is sure of everything, so that their distances tell more than its logits."""
    rng, arrays = np.random.default_rng(0), {"train_labels": np.arange(90) % 3}
    for part, count, shift in (("train", 90, 3.0), ("id_test", 60, 3.0), ("ood", 60, 9.0)):
        features = rng.standard_normal((count, 8))
        features[np.arange(count), np.arange(count) % 3] += shift
        arrays |= {f"{part}_features": features + (shift > 5) * 2, f"{part}_logits": 9 * features[:, :3]}
    np.savez(file, **arrays)


def test_a_detector_is_used_as_its_guide_says(capsys):
    tiny_bundle(Path("models/bundle/0"))
    (first, *_) = picture_files(Path("photos"), 20)
    first.rename("photos/first.png")
    write_features(Path("features.npz"))
    found = {}
    for block in python_blocks("api.md"):
        exec(block, found)
    assert set(found["known"]) <= set(found["files"])
    assert found["scores"].shape == (20,)
    assert found["verdict"].verdict == "better"
    told = capsys.readouterr().out
    assert told.count("ImagePrediction(") == 20
    assert "k-NN is better: +0." in told
    assert found["refitted"].threshold != found["detector"].threshold != found["asked"].threshold
    assert found["stricter"].threshold >= found["detector"].rejecting(0.05).threshold


def test_the_documentation_names_no_command_that_is_not_there():
    from pipeline.cli.main import app

    commands = typer.main.get_command(app).commands.keys()
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        named = set(re.findall(r"latent-outliers ([a-z][a-z-]+)", path.read_text()))
        assert named <= commands, path


def all_errors(kind=PipelineError):
    return {kind.__name__}.union(*(all_errors(below) for below in kind.__subclasses__()))


def test_every_error_has_its_line_in_the_troubleshooting_guide_and_no_other_has():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(name for name in all_errors() if name in vars(errors) and not name.startswith("_"))


@pytest.mark.parametrize(
    "words", ["nothing to open", "is left over, as params.yaml does not name it", "Warning:", "error:"]
)
def test_messages_that_the_troubleshooting_guide_quotes_are_in_the_code(words):
    assert words in (ROOT / "docs/troubleshooting.md").read_text()
    assert any(words in path.read_text() for path in ROOT.glob("pipeline/**/*.py"))
