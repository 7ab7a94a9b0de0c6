"""What systems and programs write beside images is no bad file, and a folder nobody may list ends nothing."""

import os
from pathlib import Path

import pytest

from pipeline.images.listing import RejectedFile, is_system_file, list_folder, walk
from tests.images.odd import encoded, picture, write

ROOT = Path("photos")
SYSTEM = (
    "Thumbs.db", "ehthumbs.db", "Desktop.ini", "System Volume Information/IndexerVolumeGuid", "$RECYCLE.BIN/x/$R1.jpg",
    "__MACOSX/._a.jpg", ".DS_Store", "Icon\r", "Picasa.ini", ".picasaoriginals/a.jpg", "a.jpg:Zone.Identifier",
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_S.jpg", "#recycle/b.jpg", "lost+found/c.jpg", "cat/__pycache__/a.pyc",
)  # fmt: skip


@pytest.mark.parametrize("name", SYSTEM)
def test_system_files_are_counted_and_are_neither_files_nor_folders(name):
    write(ROOT / name, encoded(picture(1)))
    write(ROOT / "cat/0.png", encoded(picture(2)))
    found = list_folder(ROOT)
    assert [file.path for file in found.files] == ["cat/0.png"]
    assert [(file.path, file.reason) for file in found.bad] == [(name, "system file")]
    assert found.folders == ("cat",)


@pytest.mark.parametrize("name", ["recycling/a.jpg", "thumbs/a.jpg", "iconic.png", "originals/b.png"])
def test_other_names_are_images(name):
    assert not is_system_file(name)


def test_a_system_folder_that_cannot_be_listed_is_a_system_file(monkeypatch):
    (ROOT / "System Volume Information").mkdir(parents=True)
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "System Volume Information":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list_folder(ROOT).bad == (RejectedFile("System Volume Information", "system file", ""),)


def test_everything_comes_folder_by_folder_and_sorted():
    for name in ("b/1.png", "a.png", "a/2.png", "a/c/0.png"):
        write(ROOT / name, b"x")
    assert [entry.path for entry in walk(ROOT)] == ["a", "a/2.png", "a/c", "a/c/0.png", "a.png", "b", "b/1.png"]


def test_a_link_out_of_the_folder_says_where_to():
    write(Path("elsewhere/0.png"), b"x")
    ROOT.mkdir()
    (ROOT / "0.png").symlink_to(Path("elsewhere/0.png").resolve())
    assert list_folder(ROOT).bad[0].detail == f"to {Path('elsewhere/0.png').resolve()}"
