"""The command writes a graph, what programs need beside it, and a card whose example runs as it stands there."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.cli.main import app
from pipeline.detector.as_onnx import export as module
from pipeline.detector.as_onnx.agreement import Agreement, agreement, drawn_pictures
from pipeline.detector.as_onnx.export import export_onnx
from pipeline.detector.detector import Detector
from pipeline.runtime.command import run_app
from pipeline.runtime.errors import ImageFileError, ModelError, OverwriteError
from pipeline.runtime.files import file_digest
from tests.detector.make import picture_files, pictures, tiny_bundle

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def called(*arguments):
    command = [sys.executable, "-m", "pipeline", "export-onnx", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a folder with a bundle, images, and the bundle as `one.onnx`."""
    folder = tmp_path_factory.mktemp("exported")
    tiny_bundle(folder / "bundle")
    picture_files(folder / "images", 40)
    (folder / "images/broken.png").write_bytes(b"no image")
    export_onnx(Detector.load(folder / "bundle"), folder / "one.onnx", compare=[folder / "images"])
    return folder


def about(folder, name="one"):
    return json.loads((folder / f"{name}.json").read_text())


def test_the_files_say_what_programs_need(exported):
    said, detector = about(exported), Detector.load(exported / "bundle")
    assert said["class_names"] == list(detector.class_names)
    assert (said["threshold"], said["image_size"], said["score"]) == (detector.threshold, 32, "knn")
    assert said["sha256"] == file_digest(exported / "one.onnx")
    assert said["bytes"] == (exported / "one.onnx").stat().st_size
    assert said["made_from"]["network"] == file_digest(exported / "bundle/network.safetensors")
    properties = {entry.key: entry.value for entry in onnx.load(exported / "one.onnx").metadata_props}
    assert json.loads(properties["class_names"]) == said["class_names"]
    assert float(properties["threshold"]) == said["threshold"]


def test_it_was_compared_on_the_images_and_says_how_it_agrees(exported):
    found = about(exported)["agreement"]
    assert found["images"] == 40
    assert found["other_decisions"] == found["other_labels"] == 0
    assert found["largest_difference"] < 2e-3
    assert "all 40 images" in found["sentence"]
    assert found["sentence"] in (exported / "one.md").read_text()


def test_the_example_in_the_card_answers_as_the_bundle(exported, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (exported / "one.md").read_text(), re.DOTALL)
    for name in ("one.onnx", "one.json"):
        shutil.copy(exported / name, tmp_path / name)
    photo = pictures(1, 50)[0]
    Image.fromarray(photo).save(tmp_path / "photo.png")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    name, probability, score, is_outlier = eval(done.stdout)
    wanted = Detector.load(exported / "bundle").predict(photo)
    assert (name, is_outlier) == (wanted.label, wanted.is_outlier)
    assert (probability, score) == pytest.approx((wanted.probability, wanted.outlier_score), abs=2e-3)


def test_the_command_line_writes_all_three(exported, tmp_path):
    done = called(exported / "bundle", "--out", tmp_path / "new/small.onnx", "--weights", "int8")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["small.json", "small.md", "small.onnx"]
    said = about(tmp_path / "new", "small")
    assert f"{said['bytes']:,} bytes; {said['agreement']['sentence']}" in done.stdout
    assert said["bytes"] < about(exported)["bytes"]
    assert said["weights"] == "int8"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--out", "detector.txt"], "does not end in .onnx"),
        (["--out", "folder.onnx"], "a folder"),
        (["--out", "one.onnx", "--compare", "nowhere"], "nothing there"),
    ],
)
def test_a_mistake_is_one_error_and_nothing_is_written(arguments, wanted, exported, tmp_path, capsys):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(SystemExit) as stopped:
        run_app(lambda: app(["export-onnx", str(exported / "bundle"), *arguments]))
    assert stopped.value.code != 0
    assert wanted in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


def test_a_graph_that_answers_otherwise_is_not_written(exported, tmp_path, monkeypatch):
    other = onnx.load(exported / "one.onnx")
    detector = Detector.load(exported / "bundle")
    detector.scorer._scores["knn"].params = detector.scorer.params.model_copy(update={"knn_neighbours": 40})
    monkeypatch.setattr(module, "detector_graph", lambda _: other)
    with pytest.raises(ModelError, match=r"other scores, by up to .*Nothing was written"):
        export_onnx(detector, tmp_path / "other.onnx")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_float16_cannot_hold_are_one_error(exported, tmp_path, monkeypatch):
    graph = onnx.load(exported / "one.onnx")
    large = max(
        graph.graph.initializer, key=lambda tensor: tensor.ByteSize() * (tensor.data_type == onnx.TensorProto.FLOAT)
    )
    large.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(large) + np.float32(1e6), large.name))
    monkeypatch.setattr(module, "detector_graph", lambda _: graph)
    monkeypatch.setattr(module, "_require_agreement", lambda *_: None)
    with pytest.raises(ModelError, match=r"beyond the range of float16\. Store them as float32 or int8"):
        export_onnx(Detector.load(exported / "bundle"), tmp_path / "one.onnx", "float16")
    assert list(tmp_path.iterdir()) == []


def test_a_graph_above_two_gibibytes_is_refused(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 1000)
    monkeypatch.setattr(module, "detector_graph", lambda _: onnx.load(exported / "one.onnx"))
    with pytest.raises(ModelError, match="wanted at most 2 GiB"):
        export_onnx(Detector.load(exported / "bundle"), tmp_path / "large.onnx")


def test_differences_are_counted(exported):
    detector, content = Detector.load(exported / "bundle"), (exported / "one.onnx").read_bytes()
    batch = pictures(12, 32)
    assert agreement(detector, content, batch).other_decisions == 0
    scores = np.sort(detector.score(batch))
    detector.threshold = float(scores[0] - 1)  # of the detector alone: it flags all now
    found = agreement(detector, content, batch)
    assert found.other_decisions == int((scores <= 0.0497).sum()) > 0
    head = detector.network.head  # its first class becomes the last
    head.weight.data, head.bias.data = head.weight.flip(0), head.bias.flip(0)
    moved = sum(answer.label != "class 1" for answer in detector.predict(batch))
    assert agreement(detector, content, batch).other_labels == moved > 0


def test_sentences_say_how_many():
    assert Agreement("images", 40, 0, 0, [3e-5]).sentence() == (
        "decides as the bundle on all 40 images, with the same class; scores differ by 3e-05 (median), 3e-05 at most"
    )
    assert Agreement("images", 1000, 2, 1, [0.1, 0.1, 0.5]).sentence() == (
        "decides as the bundle on all but 1 of 1,000 images and names the same class on all but 2 of 1,000 images; "
        "scores differ by 0.1 (median), 0.5 at most"
    )


def test_content_that_is_no_graph_is_one_error(exported):
    with pytest.raises(ModelError, match="the graph: onnxruntime cannot load this network"):
        agreement(Detector.load(exported / "bundle"), b"no graph", drawn_pictures())


def test_errors_of_the_library_call(exported, tmp_path):
    detector = Detector.load(exported / "bundle")
    with pytest.raises(OverwriteError):
        export_onnx(detector, tmp_path)
    with pytest.raises(ImageFileError):
        export_onnx(detector, tmp_path / "one.onnx", compare=[tmp_path / "none"])
