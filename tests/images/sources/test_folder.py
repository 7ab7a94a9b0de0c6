"""Folders of images: every file is used or skipped for a reason, and nothing that is tested on is trained on."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.images.image_set import OOD_LABEL, content_hash
from pipeline.params.data import DataParams
from pipeline.runtime.errors import ImageFileError
from tests.helpers.make import section
from tests.images.odd import (
    SETS,
    USED,
    bad_files,
    encoded,
    folder_data,
    good_files,
    odd_folder,
    picture,
    plain,
    plain_folder,
    write,
)

ROOT = Path("photos")
LABELLED = ("id_train", "id_validation", "id_test", "held_out")
FAILING = {name: of for name, of in bad_files().items() if of[1] != "system file"}


def open_set(name, **changes):
    changes = {f"sources__{key}": value for key, value in changes.items()}
    return section(DataParams, folder_data(**changes)).open(name)


def paths(name, **changes):
    return [
        path.relative_to(ROOT if name != "others" else "others").as_posix() for path in open_set(name, **changes).paths
    ]


def contents(name, **changes):
    images = open_set(name, **changes)
    return [content_hash(images.read(index)) for index in range(len(images))]


def message(name="id_train", **changes):
    with pytest.raises(ImageFileError) as caught:
        open_set(name, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_there_are_at_least_40_odd_files():
    outcomes = odd_folder(ROOT)
    assert len(outcomes) - 30 >= 75
    assert len([outcome for outcome in outcomes.values() if outcome != USED]) >= 40


def test_every_odd_file_becomes_what_the_table_says():
    outcomes = odd_folder(ROOT)
    images = {name: open_set(name) for name in LABELLED}
    used = [path.relative_to(ROOT).as_posix() for found in images.values() for path in found.paths]
    files = images["id_train"].files
    skipped = {path: reason for reason, names in files["skipped_files"].items() for path in names}
    assert dict.fromkeys(used, USED) | skipped == outcomes
    assert len(used) + len(skipped) == len(outcomes) == files["found"]


def test_the_counts_add_up_in_every_part():
    outcomes = odd_folder(ROOT)
    for name in LABELLED:
        images = open_set(name)
        files = images.files
        assert files["found"] == sum(files["parts"].values()) + sum(files["skipped"].values()) == len(outcomes)
        assert len(images) == files["parts"][SETS[name]["part"]]
        assert files["repeated"] == 2
        assert ("skipped_files" in files) == (name == "id_train")


def test_every_picture_of_an_odd_folder_can_be_read():
    odd_folder(ROOT)
    for name in LABELLED:
        assert len(contents(name)) == len(open_set(name))


def test_folders_of_ood_images_take_every_odd_file_too():
    outcomes = odd_folder(Path("others"))
    images = open_set("others")
    layout = ("outside the layout", "shown in two classes")  # neither matters without classes
    wanted = [path for path, outcome in outcomes.items() if outcome in (USED, *layout)]
    assert [path.relative_to("others").as_posix() for path in images.paths] == sorted(wanted)
    assert images.files["found"] == len(images) + sum(images.files["skipped"].values()) == len(outcomes)
    assert set(images.labels) == {OOD_LABEL}


@pytest.mark.parametrize("name", FAILING)
def test_each_bad_file_fails_alone_where_that_is_asked_for(name):
    plain_folder(ROOT)
    content, reason = FAILING[name]
    write(ROOT / "cat" / name, content)
    if "both" in name:
        write(ROOT / "owl/both.png", content)
    found = message(photos__on_bad_image="fail")
    assert f"{os.path.normpath(f'cat/{name}')}: {reason}" in found
    assert "set the source's `on_bad_image` to skip in params.yaml" in found


def test_a_failure_names_the_first_files_and_counts_them_all():
    outcomes = odd_folder(ROOT)
    bad = [path for path, outcome in outcomes.items() if outcome not in (USED, "system file")]
    found = message(photos__on_bad_image="fail")
    assert found.startswith(
        f"photos: found {len(bad)} files that cannot be used (cat/32 bits.tif: unsupported pixels ("
    )
    assert f"; and {len(bad) - 3} more), wanted images only. Mend or remove them, or set" in found


def test_good_files_and_those_of_the_system_fail_nothing():
    plain_folder(ROOT)
    system = {name: of[0] for name, of in bad_files().items() if of[1] == "system file"}
    for name, content in (good_files() | system).items():
        write(ROOT / "cat" / name, content)
    assert open_set("id_train", photos__on_bad_image="fail").files["skipped"] == {"system file": len(system)}


def test_a_name_cannot_break_the_line_of_an_error():
    plain_folder(ROOT)
    write(ROOT / "cat/a\nb\x1b[31m.png", b"")
    assert r"cat/a\nb\x1b[31m.png: empty" in message(photos__on_bad_image="fail")


def test_the_split_is_stratified():
    plain_folder(ROOT, each=20)
    sizes = {name: np.bincount(open_set(name).labels).tolist() for name in LABELLED[:3]}
    assert sizes == {"id_train": [10, 10], "id_validation": [4, 4], "id_test": [6, 6]}
    assert len(open_set("held_out")) == 20


def test_labels_count_the_classes_by_name():
    plain_folder(ROOT, classes=("owl", "Zebra", "10", "9"))
    images = open_set("id_test")
    assert images.class_names == ("10", "9", "Zebra")
    assert [images.class_names[label] for label in images.labels] == [path.split("/")[0] for path in paths("id_test")]
    assert open_set("held_out").class_names == ()


def test_the_split_depends_on_the_seed_only():
    plain_folder(ROOT, each=20)
    assert paths("id_train") == paths("id_train")
    assert set(paths("id_train")) != set(paths("id_train", photos__seed=1))


def test_new_names_or_another_class_do_not_split_anew():
    plain_folder(ROOT, each=20)
    before = {name: set(contents(name)) for name in LABELLED[:3]}
    for number in range(20):
        (ROOT / f"cat/{number}.png").rename(ROOT / f"cat/{20 - number}-renamed.png")
    plain_folder(ROOT, classes=("cow",))
    assert all(found <= set(contents(name)) for name, found in before.items())


def test_one_more_picture_moves_hardly_any_other():
    plain_folder(ROOT, each=20)
    before = set(contents("id_test"))
    write(ROOT / "cat/new.png", encoded(picture(77)))
    assert len(before - set(contents("id_test"))) <= 1


@settings(max_examples=30, deadline=None)
@given(copies=st.lists(st.integers(0, 9), max_size=30), seed=st.integers(0, 99))
def test_copies_are_never_in_two_parts(copies, seed, tmp_path_factory):
    os.chdir(tmp_path_factory.mktemp("copies"))
    plain_folder(ROOT)
    for number, of in enumerate(copies):
        write(ROOT / f"cat/copy {number}.bmp", encoded(plain("cat", of), "BMP"))
    parts = [contents(name, photos__seed=seed) for name in LABELLED]
    assert sum(map(len, parts)) == 30 + len(copies)
    assert sum(len(set(part)) for part in parts) == len(set().union(*parts)) == 30
    assert open_set("id_train", photos__seed=seed).files["repeated"] == len(copies)


@pytest.mark.parametrize(
    ("part", "limit", "left"), [("train", 4, [2, 2]), ("test", 3, [2, 1]), ("validation", 9, [2, 2])]
)
def test_a_limit_takes_some_of_every_class_and_is_counted(part, limit, left):
    plain_folder(ROOT)
    images = open_set(f"id_{part}", **{f"photos__limits__{part}": limit})
    assert np.bincount(images.labels).tolist() == left
    assert images.files["parts"] == open_set(f"id_{part}").files["parts"]


def test_ood_images_are_drawn_by_the_seed():
    plain_folder(Path("others"))
    few = paths("others", others__images=7)
    assert len(few) == 7
    assert few == sorted(few)
    assert few != paths("others", others__images=7, others__seed=1)
    assert set(few) < set(paths("others", others__images=8))


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"held_out": ["own"]}, "found no class folder 'own', wanted one of each class held out. Correct the source's"),
        ({"held_out": ["own"]}, "Correct the source's `held_out`: did you mean 'owl'?"),
        ({"held_out": ["owl", "cat"]}, "found 1 class to train on, wanted two or more"),
        ({"limits__test": 1}, "found limits.test 1, wanted one image of each of 2 classes. Raise it in params.yaml"),
        (
            {"validation": 0.04},
            "found 10 images of class 'cat', none of them for validation; 10 images",
        ),
        (
            {"test": None},
            "found cat, dog, owl (0 splits), wanted train/ and test/, or their usual other names, once",
        ),
        ({"test": None, "validation": None}, "wanted train/ and test/ and validation/, or their"),
        ({"path": "photo"}, "photo: found no folder, wanted a folder of images. Put it there, or correct the path"),
    ],
)
def test_parameters_that_do_not_fit_the_folder_are_refused(changes, wanted):
    plain_folder(ROOT)
    assert wanted in message("id_test", **{f"photos__{name}": value for name, value in changes.items()})


def test_a_class_without_a_picture_is_named():
    plain_folder(ROOT)
    (ROOT / "emu").mkdir()
    assert "found 0 images of class 'emu', none of them for train" in message()


def test_a_folder_of_ood_images_without_any_is_refused():
    write(Path("others/a.txt"), b"text")
    assert message("others").startswith("others: found no images (1 other files), wanted at least one. Name another")


@pytest.mark.parametrize("change", [lambda file: file.write_bytes(b"other"), Path.unlink], ids=["changed", "gone"])
def test_a_file_that_changes_while_it_is_used_is_named(change):
    plain_folder(ROOT)
    images = open_set("id_train")
    file = images.paths[0]
    change(file)
    with pytest.raises(ImageFileError, match=f"{file}: found .*, wanted the file as it was when its folder was looked"):
        images.read(0)


def test_another_picture_in_the_folder_is_another_digest():
    plain_folder(ROOT)
    before = open_set("id_train").files["digest"]
    assert open_set("id_test").files["digest"] == before
    write(ROOT / "cat/new.png", encoded(picture(77)))
    assert open_set("id_train").files["digest"] != before


def test_faint_pictures_are_counted():
    plain_folder(ROOT)
    assert "faint" not in open_set("id_train").files
    write(ROOT / "cat" / "faint.png", encoded(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 60)))
    assert open_set("id_train").files["faint"] == 1
