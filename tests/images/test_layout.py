"""Splits that a folder has are kept, and a picture that contradicts them is bad."""

from pathlib import Path

import numpy as np
import pytest

from tests.images.odd import encoded, picture, plain_folder, write
from tests.images.test_folder import LABELLED, message, open_set, paths

ROOT = Path("photos")
GIVEN = {"photos__test": None, "photos__validation": None}


def given_splits(*splits):
    """Write splits of different pictures, ten of every class in each."""
    for place, split in enumerate(splits):
        plain_folder(ROOT / split)
        for file in sorted((ROOT / split).rglob("*.png")):
            seed = 10_000 * place + 1000 * ord(file.parent.name[0]) + int(file.stem)
            file.write_bytes(encoded(picture(seed)))


@pytest.mark.parametrize("name", ["validation", "val"])
def test_given_splits_are_kept(name):
    given_splits("train", name, "test")
    for part, folder in (("train", "train"), ("validation", name), ("test", "test")):
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


def test_splits_are_not_taken_for_classes():
    given_splits("train", "test")
    assert "found folders test, train, wanted classes, not splits. Set the source's `test`" in message()


def test_two_folders_for_one_split_are_refused():
    given_splits("train", "validation", "val", "test")
    assert "(4 splits), wanted train/ and test/ and validation/ or val/. Put each there once" in message(**GIVEN)


def test_a_class_that_one_split_lacks_is_named():
    given_splits("train", "val", "test")
    plain_folder(ROOT / "train", classes=("yak",))
    assert "found 10 images of class 'yak', none of them for validation" in message(**GIVEN)
