"""A learning curve can be watched: every epoch is in the file at once, and a file is of one training only."""

import os
from pathlib import Path

import pytest

from pipeline.runtime.errors import DivergedError
from pipeline.training.curve import Curve, end_epoch, epochs_in, latest_accuracy, remove_curves

FIRST = {"learning_rate": 0.1, "outlier_exposure": 0.25, "cross_entropy": 2.5}
SECOND = {"learning_rate": 0.05, "outlier_exposure": 0.125, "cross_entropy": 1.0}
HEADER = "epoch,learning_rate,cross_entropy,outlier_exposure,loss\n"
FILE = Path("reports/training/train/0.csv")


def test_every_epoch_is_in_the_file_at_once():
    curve, history = Curve(FILE), []
    for epoch in (FIRST, SECOND):
        history.append(epoch)
        assert curve.show(history) == 1
        assert epochs_in(FILE) == len(history)
    assert FILE.read_text() == f"{HEADER}1,0.1,2.5,0.25,2.75\n2,0.05,1.0,0.125,1.125\n"


def test_a_resumed_training_shows_all_its_epochs_again():
    for history in ([FIRST], [FIRST, SECOND]):
        curve = Curve(FILE)
        assert curve.show(history) == len(history)
        assert curve.show(history) == 0
    assert FILE.read_text() == f"{HEADER}1,0.1,2.5,0.25,2.75\n2,0.05,1.0,0.125,1.125\n"


def test_the_accuracy_stands_beside_the_losses_and_is_none_of_them():
    assert latest_accuracy(FILE) is None
    history = [epoch | {"id_validation_accuracy": share} for epoch, share in ((FIRST, 0.5), (SECOND, 0.75))]
    Curve(FILE).show(history)
    header = HEADER.replace("learning_rate", "learning_rate,id_validation_accuracy")
    assert FILE.read_text() == f"{header}1,0.1,0.5,2.5,0.25,2.75\n2,0.05,0.75,1.0,0.125,1.125\n"
    assert latest_accuracy(FILE) == 0.75


@pytest.mark.parametrize(("lines", "wanted"), [(0, None), (1, None), (2, 0.5), (2.5, 0.5), (3, 0.75)])
def test_a_line_that_is_being_written_says_nothing_yet(lines, wanted):
    Curve(FILE).show([FIRST | {"id_validation_accuracy": 0.5}, SECOND | {"id_validation_accuracy": 0.75}])
    whole = FILE.read_text().splitlines(keepends=True)
    begun = whole[int(lines)][:-1] if lines % 1 else ""
    FILE.write_text("".join(whole[: int(lines)]) + begun)
    assert latest_accuracy(FILE) == wanted


def test_a_curve_without_accuracy_has_none():
    Curve(FILE).show([FIRST])
    assert latest_accuracy(FILE) is None


def test_a_link_into_a_cache_is_not_written_through(tmp_path):
    (tmp_path / "cached").write_text("old")
    FILE.parent.mkdir(parents=True)
    os.link(tmp_path / "cached", FILE)
    Curve(FILE).show([FIRST])
    assert (tmp_path / "cached").read_text() == "old"


def test_a_model_that_was_not_trained_has_a_curve_without_epochs():
    Curve(FILE).show([])
    assert (FILE.read_text(), epochs_in(FILE)) == ("epoch,learning_rate,loss\n", 0)


def test_no_file_is_no_epoch():
    assert epochs_in(FILE) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_epoch_that_is_not_finite_is_an_error_and_no_part_of_the_history(value):
    history = [FIRST]
    with pytest.raises(DivergedError, match="kl is (nan|inf) in epoch 2, wanted finite values.*which is 0.1"):
        end_epoch(history, 0.05, {"reconstruction": 1.0, "kl": value}, 0.1)
    assert history == [FIRST]


def test_only_curves_are_removed():
    Curve(FILE).show([FIRST])
    (FILE.parent / "note.txt").write_text("x")
    remove_curves(FILE.parent)
    assert [path.name for path in FILE.parent.iterdir()] == ["note.txt"]
