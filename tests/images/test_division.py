"""A class without enough usable pictures says why, all such classes at once, and can be left out."""

from pathlib import Path

from tests.images.odd import encoded, picture, plain_folder, write
from tests.images.sources.test_folder import message, open_set, paths

ROOT = Path("photos")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def test_all_classes_without_usable_pictures_are_named_with_the_reasons():
    plain_folder(ROOT)
    write(Path("elsewhere/a.png"), encoded(picture(1)))
    for number in range(3):
        write(ROOT / f"ppm/{number}.ppm", encoded(picture(number), "PPM"))
        write(ROOT / f"lfs/{number}.png", POINTER)
        (ROOT / "links").mkdir(exist_ok=True)
        (ROOT / f"links/{number}.png").symlink_to(Path("elsewhere/a.png").resolve())
        write(ROOT / f"both/{number}.png", encoded(picture(100 + number)))
        write(ROOT / f"again/{number}.png", encoded(picture(100 + number)))
    (ROOT / "emu").mkdir()
    found = message()
    for words in (
        "0 images of class 'ppm', none of them for train, validation, test (",
        "(3 no image, such as ppm/0.ppm: none of PNG,",
        "such as lfs/0.png: a pointer of Git LFS in place of the file; `git lfs pull` fetches it",
        "0 images of class 'links'",
        f"3 link out of the folder, such as links/0.png: to {Path('elsewhere/a.png').resolve()}",
        "3 shown in two classes, such as both/0.png: same picture as again/0.png",
        "0 images of class 'emu', none of them for train",
        "wanted at least one in every part. Add images, choose other shares, or leave classes out",
    ):
        assert words in found


def test_copies_are_counted_as_what_they_are():
    plain_folder(ROOT)
    for number in range(6):
        write(ROOT / f"same/{number}.png", encoded(picture(7)))
    assert "found 6 images (copies of 1 picture) of class 'same', none of them for validation" in message()


def test_small_classes_can_be_held_out_even_without_a_picture():
    plain_folder(ROOT)
    (ROOT / "emu").mkdir()
    assert open_set("id_train", photos__held_out=["emu", "owl"]).class_names == ("cat", "dog")
    assert len(paths("held_out", photos__held_out=["emu", "owl"])) == 10


def test_held_out_classes_without_any_picture_make_no_set():
    plain_folder(ROOT)
    (ROOT / "emu").mkdir()
    assert "found no images of the classes for held_out, wanted at least one" in message(
        "held_out", photos__held_out=["emu"]
    )
