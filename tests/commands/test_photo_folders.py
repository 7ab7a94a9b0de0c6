"""Folders of photographs: their splits, the names of their sets, and classes that are too small."""

from pathlib import Path

import pytest

from pipeline.commands.check import check
from pipeline.runtime.errors import ImageFileError
from tests.commands.test_new_project import PROJECT, data, make, pictures


def test_splits_of_the_folder_are_used(photos):
    for first, split in ((100, "Testing"), (200, "Training"), (300, "valid")):
        pictures(f"own/{split}", ["barn", "eagle"], 3, first=first)
    make(Path("own"))
    source = data()["sources"]["photos"]
    assert (source["validation"], source["test"]) == (None, None)


def test_without_a_validation_folder_a_share_is_kept():
    pictures("own/test", ["barn", "eagle"], 3)
    pictures("own/train", ["barn", "eagle"], 8, first=100)
    make(Path("own"))
    assert (data()["sources"]["photos"]["validation"], data()["sources"]["photos"]["test"]) == (0.15, None)


def test_without_a_test_folder_the_validation_folder_is_tested_on():
    pictures("own/val", ["barn", "eagle"], 3)
    pictures("own/train", ["barn", "eagle"], 8, first=100)
    told = make(Path("own"))
    assert (data()["sources"]["photos"]["validation"], data()["sources"]["photos"]["test"]) == (0.15, None)
    assert "photos: val/ is the test part; validation is 0.15 of the images to train on" in told


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photos", "photos_2"),
        ("id_test", "id_test_2"),
        ("!!!", "far"),
        ("Zo\u00eb's dogs", "zoe_s_dogs"),
        ("Zoe\u0308's dogs", "zoe_s_dogs"),
        ("\u0441\u043e\u0432\u044b 2024", "far"),
        ("\u72d7", "far"),
    ],
)
def test_a_folder_of_any_name_becomes_a_set(photos, name, expected):
    told = make(photos, far=[pictures(f"more/{name}", ["."], 2, first=100)])
    assert data()["sets"][expected]["source"] == expected
    assert f"{expected}: the far set of more/{name}" in told


def test_folders_of_the_same_name_are_numbered(photos):
    same = [pictures(f"{place}/birds", ["."], 2, first=100 * place) for place in (1, 2, 3)]
    make(photos, same[:2], same[2:])
    assert [name for name in data()["sets"] if not name.startswith("id_")] == ["birds", "birds_2", "birds_3"]


@pytest.mark.parametrize("far", ["photos/barn", "photos", ".", "link"])
def test_a_folder_of_other_things_is_apart_from_the_photographs(photos, far):
    Path("link").symlink_to("photos/eagle")
    with pytest.raises(ImageFileError, match="wanted folders apart from each other. An image in both would be"):
        make(photos, far=[Path(far)])
    assert not PROJECT.exists()


def test_small_classes_are_named_all_at_once_and_can_be_left_out(photos):
    pictures("photos", ["rare", "tiny"], 3, first=500)
    (photos / "none").mkdir()
    with pytest.raises(ImageFileError) as caught:
        make(photos)
    assert all(f"class '{name}'" in str(caught.value) for name in ("rare", "tiny", "none"))
    assert str(caught.value).endswith("Add images, or, if two classes remain, leave these out with --leave-out-small.")
    told = make(photos, leave_out_small=True)
    assert data()["sources"]["photos"]["held_out"] == ["none", "rare", "tiny"]
    assert "photos: left out (held_out): 3 images of class 'rare', none of them for validation" in told


@pytest.mark.parametrize("count", [*range(4, 17)])
def test_a_project_of_small_classes_is_fit_for_every_stage(count, monkeypatch):
    make(pictures("few", ["barn", "eagle"], count))
    monkeypatch.chdir(PROJECT)
    params, elsewhere = check(Path("params.yaml"))
    assert elsewhere == []
    assert params.quality.neighbours < len(params.data.open("id_train")) // 2


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_classes_that_are_too_small_for_any_project_are_refused(count):
    with pytest.raises(ImageFileError, match="wanted 2 images or more of every class for train, 1 for validation"):
        make(pictures("few", ["barn", "eagle"], count))


@pytest.mark.parametrize("folder", ["photos", "far"])
def test_no_advice_names_a_file_that_is_not_there_yet(photos, folder):
    images, far = (Path("nowhere"), []) if folder == "photos" else (photos, [Path("nowhere")])
    with pytest.raises(ImageFileError, match="nowhere: found no folder, wanted a folder") as caught:
        make(images, far=far)
    assert "params.yaml" not in str(caught.value)
