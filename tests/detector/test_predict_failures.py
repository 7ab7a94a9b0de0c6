"""A detector that fails on one image fails for it alone: an error in its row, and never a known image."""

import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from pipeline.detector.detector import NOT_FINITE, Detector
from pipeline.detector.prediction_file import COLUMNS
from pipeline.networks.encoders.encoder import Encoder
from pipeline.runtime.errors import OverwriteError, UnreadImagesError
from tests.detector.make import picture_files, tiny_bundle
from tests.detector.test_predict import FOLDER, predicted, rows_in


@pytest.fixture
def bundle():
    return tiny_bundle(Path("bundle"))


def broken_for(predict_batch, colour, break_with):
    """Return `predict_pixels` that breaks for batches with an image of this colour."""
    return lambda self, images: (
        break_with(images) if (images == colour).all((1, 2, 3)).any() else predict_batch(self, images)
    )


def one_of_one_colour():
    files = picture_files(FOLDER, 9)
    Image.new("RGB", (20, 20), (7, 7, 7)).save(files[4])
    return files


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: tried 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_where_memory_does_not_suffice_one_image_is_an_error_and_no_other_answer_is_lost(bundle, monkeypatch, error):
    def fail(_):
        raise error

    one_of_one_colour()
    whole = predicted(bundle, FOLDER)
    monkeypatch.setattr(Detector, "predict_pixels", broken_for(Detector.predict_pixels, 7, fail))
    with pytest.raises(UnreadImagesError, match="1 of 9 images could not be judged"):
        predicted(bundle, FOLDER, batch_size=8)
    rows = rows_in(Path("out.parquet"))
    assert [row["label"] for row in rows[:4] + rows[5:]] == [row["label"] for row in whole[:4] + whole[5:]]
    assert rows[4]["error"].startswith("memory does not suffice: the networks need")
    assert rows[4]["is_outlier"] is rows[4]["label"] is None


def test_another_error_of_the_networks_is_no_row(bundle, monkeypatch):
    def fail(_):
        raise RuntimeError("a bug")

    one_of_one_colour()
    monkeypatch.setattr(Detector, "predict_pixels", broken_for(Detector.predict_pixels, 7, fail))
    with pytest.raises(RuntimeError, match="a bug"):
        predicted(bundle, FOLDER)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf, 1e6])
def test_an_image_without_a_finite_score_is_an_error_that_counts_as_an_outlier(bundle, monkeypatch, broken, capsys):
    """1e6 is beyond the float16 of latents."""
    files = one_of_one_colour()
    encode = Encoder.encode
    gray = 2 * 7 / 255 - 1

    def encoded(self, images):
        latents, is_gray = encode(self, images), ((images - gray).abs() < 1e-3).all(3).all(2).all(1)
        return torch.where(is_gray[:, None, None, None], broken, latents)

    whole = predicted(bundle, FOLDER)
    monkeypatch.setattr(Encoder, "encode", encoded)
    with pytest.raises(UnreadImagesError, match="1 of 9 images could not be judged"):
        predicted(bundle, FOLDER)
    rows = rows_in(Path("out.parquet"))
    assert rows[:4] + rows[5:] == whole[:4] + whole[5:]
    told = {"file": str(files[4]), "is_outlier": True, "threshold": rows[0]["threshold"], "error": NOT_FINITE}
    assert rows[4] == dict.fromkeys(COLUMNS) | told
    answer = Detector.load(bundle).predict(files[4])
    assert (answer.outlier_score, answer.is_outlier, answer.error) == (math.inf, True, NOT_FINITE)
    assert Detector.load(bundle).score([files[4]])[0] == math.inf


@pytest.mark.parametrize(("out", "found"), [("there.csv", "found a folder, wanted a file"), ("file/out.csv", "file")])
def test_a_place_that_cannot_be_written_is_noticed_before_the_first_image(bundle, monkeypatch, out, found):
    picture_files(FOLDER, 1)
    Path("there.csv").mkdir()
    Path("file").write_text("")
    monkeypatch.setattr(Detector, "predict_pixels", None)
    with pytest.raises((OverwriteError, OSError), match=found):
        predicted(bundle, FOLDER, out=out)
