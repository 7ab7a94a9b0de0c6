"""A detector answers like the pipeline did, whatever shape images come in and wherever its folder lies."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.detector.detector import Detector, ImagePrediction
from pipeline.latents.latents import load_id_train, load_latents
from pipeline.latents.standardising import to_standardised
from pipeline.networks.encoders.encoder import load_encoder
from pipeline.networks.saved_network import load_network
from pipeline.params.infer import SCORES
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import network_outputs
from pipeline.runtime.errors import BundleError, DeviceError, ImageFileError
from tests.detector.make import INFER, picture_files, pictures, tiny_bundle, tiny_models
from tests.helpers.make import ROOT, pixels


@pytest.fixture
def detector():
    return Detector.load(tiny_bundle(Path("bundle")))


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_those_of_infer(score, tmp_path):
    tiny_models(tmp_path, score)
    images = pictures(5)
    id_train = load_id_train(tmp_path / "id_train")
    network, _ = load_network(tmp_path / "models/detector/0", id_train.header.space, id_train.class_names)
    id_outputs, labels = network_outputs(network, id_train.values), torch.from_numpy(id_train.labels).long()
    batch = torch.from_numpy(np.stack([pixels(Image.fromarray(image), 32) for image in images]))
    scaled = load_encoder(tmp_path / "models/encoder").encoder.encode(batch).half().float()
    outputs = network_outputs(network, to_standardised(scaled, id_train.header.standardisation))
    held_back = network_outputs(network, load_latents(tmp_path / "id_validation", id_train.header).values)
    wanted = fit_scores(network, id_outputs, labels, held_back, INFER)(outputs)[score]
    answers = Detector.load(tiny_bundle(tmp_path / "bundle", score)).predict(images)
    np.testing.assert_allclose([answer.outlier_score for answer in answers], wanted, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        [answer.probability for answer in answers], outputs.logits.softmax(1).max(1).values, rtol=1e-5
    )
    assert [answer.label for answer in answers] == [id_train.class_names[index] for index in outputs.logits.argmax(1)]


def test_images_above_the_threshold_are_outliers(detector):
    answers = detector.predict(pictures(20))
    assert {answer.is_outlier for answer in answers} == {True, False}
    for answer in answers:
        assert answer.is_outlier is (answer.outlier_score > detector.threshold)


def test_a_single_image_is_answered_as_in_a_batch(detector):
    images = pictures(10)
    for alone, beside in zip(map(detector.predict, images), detector.predict(images), strict=True):
        assert (alone.label, alone.is_outlier) == (beside.label, beside.is_outlier)
        np.testing.assert_allclose(alone.outlier_score, beside.outlier_score, rtol=1e-3)


def test_one_image_gives_one_answer_and_several_give_as_many(detector):
    assert isinstance(detector.predict(pictures(1)[0]), ImagePrediction)
    assert isinstance(detector.score(pictures(1)[0]), float)
    assert detector.predict([]) == []
    assert [len(detector.predict(pictures(count))) for count in (1, 64, 65)] == [1, 64, 65]
    assert detector.score(pictures(3)).shape == (3,)


def test_file_picture_and_array_are_the_same_image(detector):
    (file,), (array,) = picture_files(Path("files"), 1), pictures(1)
    answers = [detector.predict(image) for image in (file, str(file), array, Image.fromarray(array))]
    assert answers == [answers[0]] * 4
    assert detector.predict(np.stack([array, array]))[1].label == answers[0].label


@pytest.mark.parametrize("shape", [(20, 20), (20, 20, 4)])
def test_gray_and_transparent_images_are_taken(detector, shape):
    assert detector.predict(np.zeros(shape, np.uint8)).label in detector.class_names


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 4, 3)), ValueError, r"an array of shape \(4, 4, 3\) and float64 is no image"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, "is no image; wanted (h, w)"),
        ([torch.zeros(3, 8, 8)], TypeError, "a path, a PIL image or a NumPy array, not a Tensor"),
        ("absent.png", ImageFileError, "absent.png: found No such file or directory, wanted a picture"),
    ],
)
def test_what_is_no_image_is_refused(detector, image, error, message):
    with pytest.raises(error, match=message.replace("(h, w)", r"\(h, w\)")):
        detector.predict(image)


def test_a_stream_reads_no_further_than_a_batch(detector):
    read = []
    images = (read.append(0) or image for image in pictures(9))
    answers = detector.stream(images, batch_size=4)
    assert next(answers).label in detector.class_names
    assert len(read) == 4
    assert len(list(answers)) == 8


def test_a_copy_elsewhere_decides_the_same_without_the_project(tmp_path, detector):
    """In a process of its own, with another working directory, and the folder it came from gone."""
    files = picture_files(tmp_path / "files", 12)
    wanted = [(answer.label, answer.is_outlier) for answer in detector.predict(files)]
    shutil.copytree("bundle", tmp_path / "far/away")
    shutil.rmtree("bundle")
    (tmp_path / "empty").mkdir()
    code = (
        "import sys; from pipeline.detector.detector import Detector; d = Detector.load(sys.argv[1])\n"
        "print([(answer.label, answer.is_outlier) for answer in d.predict(sys.argv[2:])])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "far/away", *files],
        cwd=tmp_path / "empty",
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "empty")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stdout.strip() == str(wanted)
    assert list((tmp_path / "empty").iterdir()) == []


def test_saving_and_loading_is_the_same_detector(detector):
    detector.save_pretrained("saved")
    again = Detector.from_pretrained("saved")
    assert again.bundle.card == detector.bundle.card
    assert again.predict(pictures(3)) == detector.predict(pictures(3))


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(DeviceError, match="device is 'cdua', which cannot be used"):
        Detector.load(tiny_bundle(Path("bundle")), device="cdua")


def test_networks_that_do_not_fit_their_card_are_refused(detector):
    broken = detector.bundle.network | {"head.bias": torch.zeros(9)}
    other = SimpleNamespace(**vars(detector.bundle) | {"network": broken})
    with pytest.raises(BundleError, match=r"bundle: found 'head.bias' is float32 \[9\], wanted float32 \[3\], w"):
        Detector(other, torch.device("cpu"))


def test_the_hub_is_asked_for_the_files_of_a_bundle(monkeypatch):
    folder, asked = tiny_bundle(Path("cache/snapshot")), {}

    def snapshot_download(repo_id, **arguments):
        asked.update(arguments, repo_id=repo_id)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert Detector.from_pretrained("team/digits", revision="v1").bundle.folder == folder
    assert (asked["repo_id"], asked["revision"]) == ("team/digits", "v1")
    assert set(asked["allow_patterns"]) >= {"bundle.json", "network.safetensors", "scorer.safetensors", "encoder/*"}


def test_what_is_neither_a_folder_nor_on_the_hub_is_one_line():
    with pytest.raises(
        BundleError, match="team/absent: found .*, wanted a folder, or a bundle on the Hugging Face"
    ) as e:
        Detector.from_pretrained("team/absent")
    assert "\n" not in str(e.value)


class FakeApi:
    """Takes what is pushed, as the hub would; it has files already."""

    there = frozenset({"notes.md", "encoder/encoder.json", "encoder/old.safetensors.index.json"})

    def __init__(self, token=None):
        self.token = token

    def create_repo(self, repo_id, **arguments):
        FakeApi.pushed = {"repo": repo_id, "private": arguments["private"]}

    def create_branch(self, repo_id, *, branch, exist_ok):
        FakeApi.pushed["branch"] = branch

    def upload_folder(self, *, repo_id, folder_path, allow_patterns, delete_patterns, commit_message, revision):
        present = [path.relative_to(folder_path).as_posix() for path in Path(folder_path).rglob("*") if path.is_file()]
        files = set(huggingface_hub.utils.filter_repo_objects(present, allow_patterns=allow_patterns))
        gone = set(huggingface_hub.utils.filter_repo_objects(FakeApi.there, allow_patterns=delete_patterns)) - files
        FakeApi.pushed |= {"files": files, "deleted": gone, "revision": revision}
        return SimpleNamespace(commit_url=f"https://example.org/{repo_id}/commit/1")


def test_a_push_uploads_the_bundle_and_nothing_else_and_deletes_what_was_of_an_older_one(monkeypatch, detector):
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    Path("bundle/secret.txt").write_text("not part of it")
    assert detector.push_to_hub("team/digits", private=True) == "https://example.org/team/digits/commit/1"
    wanted = {*detector.bundle.card.files, "README.md", "bundle.json"}
    gone = {"encoder/old.safetensors.index.json"}
    assert FakeApi.pushed == {
        "repo": "team/digits", "private": True, "files": wanted, "deleted": gone, "revision": None,
    }  # fmt: skip
    detector.push_to_hub("team/digits", revision="v2")
    assert (FakeApi.pushed["branch"], FakeApi.pushed["revision"]) == ("v2", "v2")


def test_a_push_that_fails_is_one_line(monkeypatch, detector):
    def refuse(self, repo_id, **arguments):
        raise huggingface_hub.errors.HFValidationError("no\nsuch name")

    monkeypatch.setattr(FakeApi, "create_repo", refuse)
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    with pytest.raises(BundleError, match="a b: found no such name, wanted a repository on the hub"):
        detector.push_to_hub("a b")


def test_a_push_without_a_network_is_one_line(monkeypatch, detector):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", nobody)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(BundleError, match="team/digits: found .*Connection refused.*, wanted a repository .* network"):
        detector.push_to_hub("team/digits", token="hf_of_nobody")
