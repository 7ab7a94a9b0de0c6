"""Splits that a folder has are kept, and a picture that contradicts them is bad."""

from pathlib import Path

import numpy as np
import pytest

from tests.images.odd import encoded, picture, plain_folder, write
from tests.images.sources.test_folder import LABELLED, message, open_set, paths

ROOT = Path("photos")
GIVEN = {"photos__test": None, "photos__validation": None}


def given_splits(*splits):
    """Write splits of different pictures, ten of every class in each."""
    for place, split in enumerate(splits):
        plain_folder(ROOT / split)
        for file in sorted((ROOT / split).rglob("*.png")):
            seed = 10_000 * place + 1000 * ord(file.parent.name[0]) + int(file.stem)
            file.write_bytes(encoded(picture(seed)))


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "validation", "test"),
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("Training", "Dev", "Testing"),
        ("TRAIN", "VAL", "eval"),
        ("training", "Valid", "Evaluation"),
    ],
)
def test_given_splits_are_kept_by_any_usual_name(train, validation, test):
    given_splits(train, validation, test)
    for part, folder in (("train", train), ("validation", validation), ("test", test)):
        found = paths(f"id_{part}", **GIVEN)
        assert {path.split("/")[0] for path in found} == {folder}
        assert len(found) == 20
    assert len(paths("held_out", **GIVEN)) == 30


def test_validation_can_be_taken_from_the_training_split():
    given_splits("train", "test")
    changes = {"photos__test": None}
    assert [len(paths(name, **changes)) for name in LABELLED] == [16, 4, 20, 20]
    assert {path.split("/")[0] for path in paths("id_validation", **changes)} == {"train"}
    assert np.bincount(open_set("id_validation", **changes).labels).tolist() == [2, 2]


@pytest.mark.parametrize("name", ["val", "Valid", "dev"])
def test_without_a_test_split_the_one_to_validate_is_tested_on(name):
    given_splits("train", name)
    changes = {"photos__test": None}
    assert [len(paths(part, **changes)) for part in LABELLED[:3]] == [16, 4, 20]
    assert {path.split("/")[0] for path in paths("id_test", **changes)} == {name}
    assert "Set the source's `validation` to a share: then the images of the validation split" in message(**GIVEN)


def test_a_copy_in_two_splits_stays_where_it_is_tested():
    given_splits("train", "val", "test")
    for split in ("train", "val", "test"):
        write(ROOT / split / "cat/same.png", encoded(picture(1)))
    files = open_set("id_train", **GIVEN).files
    assert files["skipped_files"] == {"also in another split": ["train/cat/same.png", "val/cat/same.png"]}
    assert "test/cat/same.png" in paths("id_test", **GIVEN)
    assert "train/cat/same.png: also in another split (same picture as test/cat/same.png)" in message(
        photos__on_bad_image="fail", **GIVEN
    )


def test_a_held_out_copy_in_two_splits_is_kept():
    given_splits("train", "val", "test")
    for split in ("train", "test"):
        write(ROOT / split / "owl/same.png", encoded(picture(1)))
    assert open_set("id_train", **GIVEN).files["skipped"] == {}
    assert len(paths("held_out", **GIVEN)) == 32


def test_all_copies_of_a_picture_of_two_classes_are_skipped():
    plain_folder(ROOT)
    for name in ("cat/a.png", "cat/b.png", "owl/c.png"):
        write(ROOT / name, encoded(picture(1)))
    skipped = open_set("id_train").files["skipped_files"]
    assert skipped == {"shown in two classes": ["cat/a.png", "cat/b.png", "owl/c.png"]}


def test_folders_beside_the_splits_are_outside():
    given_splits("train", "val", "test")
    plain_folder(ROOT / "extra", classes=("cat",), each=2)
    skipped = open_set("id_train", **GIVEN).files["skipped_files"]
    assert skipped == {"outside the layout": ["extra/cat/0.png", "extra/cat/1.png"]}


@pytest.mark.parametrize(
    ("splits", "found"),
    [
        (("train", "test"), "found folders test, train, wanted classes, not splits. Set the source's `test` to null"),
        (("Training", "Testing"), "found folders Testing, Training, wanted classes, not splits. Set the source's"),
        (("train", "valid", "test"), "not splits. Set the source's `test` and `validation` to null to use them."),
        (("val", "test"), "wanted classes, not splits. Put images of every class into a folder of its own, below a"),
        (("Train",), "not splits. Name photos/Train instead, if its folders are the classes: cat, dog, owl."),
    ],
)
def test_splits_are_not_taken_for_classes(splits, found):
    given_splits(*splits)
    assert found in message()


def test_a_class_may_be_called_like_a_split():
    plain_folder(ROOT, classes=("train", "bus", "owl"))
    assert open_set("id_train").class_names == ("bus", "train")


@pytest.mark.parametrize("below", ["images", "archive/data/images"])
def test_the_deeper_folder_that_has_the_classes_is_named(below):
    plain_folder(ROOT / below, classes=("ant", "bee", "cat", "dog", "owl"))
    assert f"Name photos/{below} instead, if its folders are the classes: ant, bee, cat and 2 more." in message()


def test_folders_that_describe_images_are_no_classes():
    plain_folder(ROOT)
    write(ROOT / "Annotations/cat/0.xml", b"<xml/>")
    write(ROOT / "__pycache__/a.pyc", b"x")
    write(ROOT / "System Volume Information/x", b"x")
    assert open_set("id_train").class_names == ("cat", "dog")
    write(ROOT / "labels/0.png", encoded(picture(5)))
    assert "1 image of class 'labels', none of them for validation" in message()  # it has a picture


def test_two_spellings_of_an_accent_are_one_class():
    composed, apart = "Zo\u00eb", "Zoe\u0308"
    plain_folder(ROOT, classes=("cat", composed, "owl"))
    for number in range(5):
        write(ROOT / apart / f"{number}.png", encoded(picture(500 + number)))
    assert open_set("id_train").class_names == (composed, "cat")
    assert sum(path.startswith("Zo") for part in LABELLED[:3] for path in paths(part)) == 15
    assert len(paths("held_out", photos__held_out=[apart])) == 15


def test_two_folders_for_one_split_in_other_letters_are_refused():
    given_splits("train", "Train", "test")
    assert "found Train, test, train (3 splits), wanted train/ and test/" in message(photos__test=None)


def test_two_folders_for_one_split_are_refused():
    given_splits("train", "validation", "val", "test")
    found = message(**GIVEN)
    assert "(4 splits), wanted train/ and test/ and validation/, or their usual other names, once each" in found
    assert found.endswith("Put all images of a split into one folder.")


def test_a_class_that_one_split_lacks_is_named():
    given_splits("train", "val", "test")
    plain_folder(ROOT / "train", classes=("yak",))
    assert "found 10 images of class 'yak', none of them for validation, test" in message(**GIVEN)
