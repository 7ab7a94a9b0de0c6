"""A folder is listed for `predict` as for training: images by name or content, everything else counted by reason."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.detector.detector import Detector
from pipeline.detector.listing import PassedOver, count_images, image_files
from pipeline.detector.predict import predict_files
from pipeline.runtime.errors import ImageFileError, UnreadImagesError
from tests.detector.make import picture_files, tiny_bundle
from tests.images.odd import encoded, odd_folder, picture, write

FOLDER = Path("photos")


def tiny_detector():
    return Detector.load(tiny_bundle(Path("bundle")))


def listed(folder=FOLDER):
    """Return the images below a folder, and the number of other files by reason."""
    others = PassedOver()
    names = [Path(file).relative_to(folder).as_posix() for file in image_files([folder], others)]
    assert count_images([folder]) == len(names)
    return names, dict(others.counts)


def test_folders_are_gone_through_sorted():
    for name in ("b/2.png", "b/1.JPG", "a/deep/x.webp", "notes.txt", ".hidden.png", "c.png", ".git/y.png"):
        write(FOLDER / name, b"")
    assert listed() == (["a/deep/x.webp", "b/1.JPG", "b/2.png", "c.png"], {"no image": 1, "system file": 2})
    assert count_images([FOLDER, FOLDER / "notes.txt"]) == 5


@pytest.mark.parametrize("folder", [".", "a", "./a/", "/"])
def test_files_are_named_as_pathlib_would(folder, monkeypatch):
    entry = SimpleNamespace(is_dir=lambda **_: False, is_symlink=lambda: False, name="1.png")
    monkeypatch.setattr(os, "scandir", lambda _: [entry])
    Path("a").mkdir()
    assert list(image_files([Path(folder)])) == [str(Path(folder) / "1.png")]


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JFIF", ".heic", ".avif", ".dib"])
def test_every_usual_end_of_a_name_is_an_image(suffix):
    write(FOLDER / f"a{suffix}", b"whatever is in it")
    assert listed() == ([f"a{suffix}"], {})


def test_a_file_with_another_name_or_none_is_an_image_if_it_begins_like_one():
    for name in ("IMG_0001", "photo.jpg_large", "backup.bak"):
        write(FOLDER / name, encoded(picture(1), "JPEG"))
    for name in ("README", "labels.csv"):
        write(FOLDER / name, b"name,label")
    assert listed() == (["IMG_0001", "backup.bak", "photo.jpg_large"], {"no image": 2})


def test_thumbnails_of_systems_are_no_images():
    for name in ("@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/._1.jpg", "$RECYCLE.BIN/2.jpg", "lost+found/3.jpg"):
        write(FOLDER / name, encoded(picture(1), "JPEG"))
    write(FOLDER / "1.jpg", encoded(picture(1), "JPEG"))
    assert listed() == (["1.jpg"], {"system file": 4})


def test_what_training_uses_is_judged_and_what_is_not_judged_training_does_not_use():
    outcomes = odd_folder(FOLDER)
    names, others = listed()
    spelled = {os.fsencode(name).decode("utf-8", "backslashreplace") for name in names}
    used = {path for path, outcome in outcomes.items() if outcome in ("used", "outside the layout")}
    assert used <= spelled
    system = [path for path, outcome in outcomes.items() if outcome == "system file"]
    assert others.pop("system file") == len(system)
    assert sum(others.values()) == len(outcomes) - len(spelled) - len(system)


def test_a_link_to_a_folder_and_a_pipe_are_counted():
    picture_files(FOLDER, 1)
    (FOLDER / "more").symlink_to(".", target_is_directory=True)
    (FOLDER / "gone").symlink_to("nowhere")
    os.mkfifo(FOLDER / "pipe")
    assert listed()[1] == {"link to a folder": 1, "broken link": 1, "no regular file": 1}


@pytest.fixture
def locked(monkeypatch):
    """A folder `locked` that cannot be listed, whoever runs the test."""
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (FOLDER / "locked").mkdir(parents=True)


def test_a_folder_that_cannot_be_listed_is_a_row_with_an_error_and_stops_nothing(locked, capsys):
    picture_files(FOLDER, 3)
    with pytest.raises(UnreadImagesError, match="1 of 4 images could not be judged"):
        predict_files(
            lambda: Detector.load(tiny_bundle(Path("bundle"))), [FOLDER], Path("out.csv"), batch_size=4, strict=False
        )
    assert Path("out.csv").read_text().count("photos/locked: found ") == 1


def test_what_is_passed_over_is_told_with_an_example(capsys):
    picture_files(FOLDER, 2)
    for name in ("Thumbs.db", "a.txt", "b.txt"):
        write(FOLDER / name, b"text")
    predict_files(
        lambda: Detector.load(tiny_bundle(Path("bundle"))), [FOLDER], Path("out.csv"), batch_size=4, strict=False
    )
    told = "3 other files passed over: 2 no image (photos/a.txt, ...); 1 system file (photos/Thumbs.db)\n"
    assert capsys.readouterr().err.endswith(told)


def test_a_folder_without_images_says_what_it_has():
    write(FOLDER / "a.txt", b"text")
    with pytest.raises(ImageFileError, match=r"photos: found no image \(1 no image \(photos/a.txt\)\), wanted images"):
        count_images([FOLDER])
