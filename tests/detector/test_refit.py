"""Another threshold, and a bundle that is fitted anew: what changes, what stays, and what it says of itself."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from pipeline.detector.bundle import read_bundle
from pipeline.detector.detector import Detector
from pipeline.params.infer import SCORES
from pipeline.posthoc.decision import fitted_threshold
from pipeline.posthoc.fitted import score_class
from pipeline.runtime.errors import BundleError, ImageFileError, PipelineError
from pipeline.runtime.files import file_digest
from tests.detector.make import forged, picture_files, pictures, tiny_bundle

NEW = pictures(60, 24, seed=7)
BANKS = {"knn": "bank", "nnguide": "bank", "combined": "kept"}


@pytest.fixture
def detector(tmp_path):
    return Detector.load(tiny_bundle(tmp_path / "bundle"))


def called(*arguments):
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# Another threshold


def test_the_bundle_has_the_scores_of_id_validation_images(detector):
    scores = detector.bundle.id_scores
    assert scores.ndim == 1
    assert (np.diff(scores) >= 0).all()
    assert len(scores) > 10


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.9])
def test_a_share_gives_the_threshold_that_rejects_at_most_so_many(share, detector):
    scores, stricter = detector.bundle.id_scores, detector.rejecting(share)
    rejected = (scores > stricter.threshold).sum()
    assert rejected == np.floor(share * len(scores) + 1e-9)
    assert stricter.threshold == fitted_threshold(scores, share)


def test_another_threshold_changes_decisions_alone_and_not_the_detector_it_came_from(detector):
    before, batch = detector.predict(NEW), sorted(detector.score(NEW))
    middle = (batch[29] + batch[30]) / 2
    after = detector.with_threshold(middle).predict(NEW)
    assert sum(answer.is_outlier for answer in after) == 30
    assert [answer.outlier_score for answer in after] == [answer.outlier_score for answer in before]
    assert detector.predict(NEW) == before


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share, detector):
    with pytest.raises(ValueError, match="wanted 0 <= share < 1"):
        detector.rejecting(share)


def test_a_threshold_that_is_no_number_is_refused(detector):
    with pytest.raises(ValueError, match="wanted a finite number"):
        detector.with_threshold(float("inf"))


def test_the_command_takes_a_share_or_a_threshold(tmp_path):
    bundle = tiny_bundle(tmp_path / "bundle")
    picture_files(tmp_path / "images", 12)
    detector = Detector.load(bundle)
    for option, value, wanted in (
        ("--reject", 0.5, detector.rejecting(0.5).threshold),
        ("--threshold", 0.04, 0.04),
    ):
        done = called("predict", bundle, tmp_path / "images", option, value, "--out", "answers.csv")
        assert done.returncode == 0, done.stderr
        assert f"score above {wanted:.6g}" in done.stderr
        assert f",{wanted:.6g}," in (tmp_path / "answers.csv").read_text()
    both = called("predict", bundle, tmp_path / "images", "--reject", 0.5, "--threshold", 1)
    assert both.returncode == 2
    assert "not both" in both.stderr


@pytest.mark.parametrize(("option", "value"), [("--reject", "1"), ("--threshold", "nan")])
def test_a_value_that_is_none_is_one_error(option, value, tmp_path):
    picture_files(tmp_path / "images", 2)
    done = called("predict", tiny_bundle(tmp_path / "bundle"), tmp_path / "images", option, value)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"is {float(value)}, wanted" in " ".join(done.stderr.replace("│", " ").split())


def test_a_share_below_one_image_is_said_to_reject_none(tmp_path):
    bundle = tiny_bundle(tmp_path / "bundle")
    picture_files(tmp_path / "images", 2)
    done = called("predict", bundle, tmp_path / "images", "--reject", 0.0001)
    assert "less than one, so that none is rejected" in done.stderr


# Fitted anew


def test_the_threshold_is_that_of_the_new_images(detector, tmp_path):
    new = detector.refit(NEW, tmp_path / "new", rejected=0.1)
    assert new.threshold == pytest.approx(fitted_threshold(detector.score(NEW), 0.1), rel=1e-6)
    assert sum(answer.is_outlier for answer in new.predict(NEW)) == 6
    assert new.bundle.id_scores == pytest.approx(np.sort(detector.score(NEW)), rel=1e-6)
    decision = new.bundle.card.decision
    assert (decision.id_rejection_target, decision.id_rejection_validation, decision.validation_images) == (
        0.1,
        0.1,
        60,
    )


def test_without_a_share_it_is_that_of_the_bundle(detector, tmp_path):
    assert detector.refit(NEW, tmp_path / "new").bundle.card.decision.id_rejection_target == 0.05


def test_everything_else_stays_as_it_was(detector, tmp_path):
    new = detector.refit(NEW, tmp_path / "new")
    changed = {"bundle.json", "README.md", "scorer.safetensors"}
    for file in detector.bundle.card.files.keys() - changed:
        assert file_digest(tmp_path / "new" / file) == file_digest(tmp_path / "bundle" / file)
    assert [answer.outlier_score for answer in new.predict(NEW)] == [
        answer.outlier_score for answer in detector.predict(NEW)
    ]


def test_it_says_what_it_was_made_from(detector, tmp_path):
    new = detector.refit(NEW, tmp_path / "new", rejected=0.1)
    (first,) = new.bundle.card.refits
    assert (first.bundle, first.images, first.kept) == (file_digest(tmp_path / "bundle/bundle.json"), 60, 0)
    again = new.refit(NEW[:30], tmp_path / "again", rejected=0.1)
    assert [done.images for done in again.bundle.card.refits] == [60, 30]
    assert again.bundle.card.refits[1].bundle == file_digest(tmp_path / "new/bundle.json")
    text = (tmp_path / "new/README.md").read_text()
    assert text.startswith((tmp_path / "bundle/README.md").read_text())
    assert re.search(rf"threshold is {new.threshold:.6g}\. It was fitted to .* 60 in all, and rejects\n10\.0%", text)


def test_the_same_images_give_the_same_bytes(detector, tmp_path):
    for name in ("a", "b"):
        detector.refit(NEW, tmp_path / name)
    for file in (tmp_path / "a").rglob("*"):
        assert file.is_dir() or file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize(("score", "bank"), BANKS.items())
def test_kept_images_are_compared_with(score, bank, tmp_path):
    detector = Detector.load(tiny_bundle(tmp_path / "bundle", score))
    new = detector.refit(NEW, tmp_path / "new", rejected=0.1, keep=True)
    before, after = detector.bundle.scorer.tensors[bank], new.bundle.scorer.tensors[bank]
    assert len(after) == len(before) + 30
    assert torch.equal(after[: len(before)], before)
    assert new.bundle.card.refits[0].kept == 30
    rejected = [answer.is_outlier for answer in new.predict(NEW[1::2])]  # the threshold is of the others
    assert sum(rejected) == 3
    if score == "knn":
        assert (new.score(NEW[::2]) <= detector.score(NEW[::2]) + 1e-9).all()


def test_a_score_that_compares_with_no_images_can_keep_none(tmp_path):
    detector = Detector.load(tiny_bundle(tmp_path / "bundle", "msp"))
    with pytest.raises(PipelineError, match="'msp' compares with no images"):
        detector.refit(NEW, tmp_path / "new", keep=True)
    assert not (tmp_path / "new").exists()


def test_every_score_that_has_a_bank_can_be_extended():
    assert {name for name in SCORES if {"bank", "kept"} & {*score_class(name).learns}} == {*BANKS}


@pytest.mark.parametrize(
    ("images", "options", "wanted"),
    [
        ([], {}, "found no images"),
        (NEW[:9], {"rejected": 0.1}, "found 9 images to fit to, wanted 10 or more to reject a share of 0.1"),
        (NEW[:19], {"rejected": 0.1, "keep": True}, "found 9 images to fit to beside 10 that are kept, wanted 10"),
        (NEW, {"rejected": 1.0}, "wanted 0 <= share < 1"),
    ],
)
def test_too_few_images_are_refused(images, options, wanted, detector, tmp_path):
    with pytest.raises(PipelineError, match=re.escape(wanted)):
        detector.refit(images, tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_taken_stays_as_it_is(detector, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="something there"):
        detector.refit(NEW, tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine.txt"]


def test_a_file_that_is_no_image_stops_it(detector, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"none")
    with pytest.raises(ImageFileError):
        detector.refit([*NEW, tmp_path / "broken.png"], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_writes_a_bundle_that_predicts(tmp_path):
    bundle = tiny_bundle(tmp_path / "bundle")
    picture_files(tmp_path / "images", 40)
    done = called("refit", bundle, tmp_path / "images", "--out", tmp_path / "new", "--reject", 0.1)
    assert done.returncode == 0, done.stderr
    threshold = read_bundle(tmp_path / "new").card.decision.threshold
    assert f"above {threshold:.6g} an image is an outlier, which rejects 10.0% of 40 images" in done.stdout
    asked = called("predict", tmp_path / "new", tmp_path / "images")
    assert "40 images judged, 4 of them outliers" in asked.stderr


# Damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors: tensors.update(id_scores=tensors["id_scores"].flip(0)),
        lambda tensors: tensors.update(id_scores=tensors["id_scores"][:0]),
        lambda tensors: tensors.update(id_scores=tensors["id_scores"][None]),
        lambda tensors: tensors.update(id_scores=tensors["id_scores"].float()),
        lambda tensors: tensors.pop("id_scores"),
    ],
    ids=["falling", "none", "two axes", "float32", "missing"],
)
def test_scores_that_no_run_writes_are_refused(damage, tmp_path):
    bundle = forged(tiny_bundle(tmp_path / "bundle"), scorer=damage)
    with pytest.raises(BundleError, match="id_scores"):
        read_bundle(bundle)


def test_scores_that_are_not_finite_are_refused(tmp_path):
    bundle = tiny_bundle(tmp_path / "bundle")

    def damage(tensors):
        tensors["id_scores"][-1] = float("inf")

    with pytest.raises(BundleError, match="finite"):
        read_bundle(forged(bundle, scorer=damage))


def test_a_bundle_without_a_model_card_can_be_fitted_anew(detector, tmp_path):
    (tmp_path / "bundle/README.md").unlink()
    detector.refit(NEW, tmp_path / "new")
    assert (tmp_path / "new/README.md").read_text().startswith("\n## Fitted anew")
