"""A folder is looked through once: what was found is believed as long as nothing in it has changed."""

import os
from io import FileIO
from pathlib import Path

import pytest

from pipeline.images import decode, scan, scan_cache
from pipeline.images.image_set import content_hash
from pipeline.images.scan import scan_folder
from pipeline.runtime.errors import ImageFileError
from pipeline.runtime.files import read_json
from tests.images.odd import LARGEST, encoded, odd_folder, picture, plain_folder, write

ROOT = Path("photos")


@pytest.fixture
def decoded(monkeypatch):
    """Return the files that were decoded, in order."""
    names, check = [], scan._checked

    def noted(root, largest_pixels, file):
        names.append(file.path)
        return check(root, largest_pixels, file)

    monkeypatch.setattr(scan, "_checked", noted)
    return names


def look():
    return scan_folder(ROOT, LARGEST)


def kept():
    [file] = Path(".work/images").iterdir()
    return file


def test_every_file_is_found_once():
    outcomes = odd_folder(ROOT)
    found = look()
    paths = [one.path for one in (*found.pictures, *found.bad)]
    assert sorted(paths) == sorted(outcomes)


def test_a_picture_is_known_by_what_it_shows():
    write(ROOT / "a.png", encoded(picture(1)))
    write(ROOT / "b.tif", encoded(picture(1), "TIFF"))
    assert [one.content for one in look().pictures] == [content_hash(picture(1))] * 2


def test_a_second_look_decodes_nothing(decoded):
    plain_folder(ROOT)
    first = look()
    assert len(decoded) == 30
    assert look() == first
    assert len(decoded) == 30


def test_a_project_that_moved_is_not_looked_through_again(decoded, monkeypatch):
    Path("before").mkdir()
    monkeypatch.chdir("before")
    plain_folder(ROOT)
    first = look()
    decoded.clear()
    Path("../before").rename("../after")
    monkeypatch.chdir("../after")
    assert (look(), decoded) == (first, [])


def change_content():
    write(ROOT / "cat/0.png", (ROOT / "cat/1.png").read_bytes())


def change_content_and_keep_size_and_time():
    file = ROOT / "cat/0.png"
    before, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "another content": change_content,
    "the old time": change_content_and_keep_size_and_time,
    "another file": lambda: write(ROOT / "cat/new.png", encoded(picture(9))),
    "one less": (ROOT / "cat/0.png").unlink,
    "another name": lambda: (ROOT / "cat/0.png").rename(ROOT / "cat/x.png"),
    "another folder": (ROOT / "fox").mkdir,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_is_noticed(decoded, change):
    plain_folder(ROOT)
    look()
    decoded.clear()
    change()
    look()
    assert len(decoded) >= 29


def test_another_largest_size_is_another_look(decoded):
    plain_folder(ROOT)
    look()
    assert scan_folder(ROOT, 1).bad[0].reason == "too large"
    assert len(decoded) == 60


def test_a_damaged_memory_is_made_anew():
    plain_folder(ROOT, each=2)
    wanted = look()
    whole = kept().read_bytes()
    for place in range(0, len(whole), 41):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            kept().write_bytes(damaged)
            assert look() == wanted
    assert read_json(kept()) == read_json_bytes(whole)


def read_json_bytes(content):
    Path("whole.json").write_bytes(content)
    return read_json(Path("whole.json"))


def refuse(name, error):
    """Return a `FileIO` that fails for the file called `name`."""

    def opened(file, **options):
        if Path(file).name == name:
            raise error
        return FileIO(file, **options)

    return opened


def test_a_file_that_cannot_be_read_is_tried_again(monkeypatch):
    plain_folder(ROOT, each=2)
    with monkeypatch.context() as patched:
        patched.setattr(decode, "FileIO", refuse("1.png", PermissionError(13, "Permission denied")))
        assert {(one.reason, one.detail) for one in look().bad} == {("unreadable", "Permission denied")}
    assert look().bad == ()


def test_a_folder_that_cannot_be_read_is_counted(monkeypatch):
    plain_folder(ROOT, each=2)
    scandir = os.scandir

    def refuse_cats(path):
        if Path(path).name == "cat":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_cats)
    found = look()
    assert [tuple(one) for one in found.bad] == [("cat", "unreadable", "Permission denied")]
    assert len(found.pictures) == 4


def test_a_link_whose_target_may_not_be_looked_at_is_unreadable(monkeypatch):
    plain_folder(ROOT, each=2)
    (ROOT / "cat/link.png").symlink_to("0.png")
    resolve = Path.resolve

    def refuse_links(self, *, strict=False):
        if self.name == "link.png":
            raise PermissionError(13, "Permission denied")
        return resolve(self, strict=strict)

    monkeypatch.setattr(Path, "resolve", refuse_links)
    assert [tuple(one) for one in look().bad] == [("cat/link.png", "unreadable", "Permission denied")]


def test_the_order_of_the_file_system_does_not_matter(monkeypatch):
    odd_folder(ROOT)
    wanted = look()
    kept().unlink()
    scandir = os.scandir

    def backwards(path):
        return reversed(list(scandir(path))) if Path(path).is_relative_to(ROOT) else scandir(path)

    monkeypatch.setattr(os, "scandir", backwards)
    assert look() == wanted


def test_another_version_of_a_decoder_looks_again(monkeypatch, decoded):
    versions = {"pillow": "12", "pillow-heif": "1"}
    monkeypatch.setattr(scan_cache, "version", versions.__getitem__)
    monkeypatch.setattr(scan_cache, "readable_formats", lambda: ("PNG", "HEIF"))
    plain_folder(ROOT)
    for name in (None, *versions):
        versions |= {} if name is None else {name: "99"}
        decoded.clear()
        look()
        assert len(decoded) == 30, name


def test_the_folder_itself_may_be_a_link():
    plain_folder(Path("disk/photos"))
    ROOT.symlink_to("disk/photos")
    assert len(look().pictures) == 30


@pytest.mark.parametrize("make", [lambda: None, lambda: write(ROOT, b"")], ids=["nothing", "a file"])
def test_a_folder_that_is_none_is_named(make):
    make()
    with pytest.raises(ImageFileError, match="photos: found no folder, wanted a folder of images. Put it there, or"):
        look()
