"""Odd and broken files as folders of photographs have them, each with what becomes of it."""

import os
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from tests.helpers.make import changed

USED, LARGEST = "used", 20_000


def picture(seed, size=(9, 6), mode="RGB"):
    """Return a picture of its own for every seed; without hard edges, so that JPEG keeps most of it."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (3, 3, 3), np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image, kind="PNG", **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def sixteen_bits(seed, size=(9, 6)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 2**16, size[::-1], np.uint16))


def png_of_size(width, height):
    """Return a PNG whose header promises so many pixels, and that has hardly any."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(99)))]
    chunks = [struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
              for name, body in [*parts, (b"IEND", b"")]]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def half(image, kind):
    content = encoded(image, kind)
    return content[: len(content) // 2]


def good_files():
    """Return by name what is a picture, however odd."""
    frames = [picture(seed) for seed in (60, 61)]
    jpeg = encoded(picture(20), "JPEG", exif=exif(6))
    return {
        "gray.png": encoded(picture(1, mode="L")),
        "colour.png": encoded(picture(2)),
        "transparent.png": encoded(picture(3, mode="RGBA")),
        "gray transparent.png": encoded(picture(4, mode="LA")),
        "palette.png": encoded(picture(5, mode="P")),
        "palette transparent.gif": encoded(picture(6, mode="P"), "GIF", transparency=3),
        "one colour transparent.png": encoded(picture(7), transparency=(0, 0, 0)),
        "bilevel.png": encoded(picture(8, mode="1")),
        "cmyk.jpg": encoded(picture(9, mode="CMYK"), "JPEG"),
        "gray.jpg": encoded(picture(10, mode="L"), "JPEG"),
        "progressive.jpg": encoded(picture(11), "JPEG", progressive=True),
        "ycbcr.tif": encoded(picture(12, mode="YCbCr"), "TIFF"),
        "16 bits.png": encoded(sixteen_bits(13)),
        "16 bits.tif": encoded(sixteen_bits(14), "TIFF"),
        "compressed.tif": encoded(picture(15), "TIFF", compression="tiff_lzw"),
        "rotated.jpg": jpeg,
        "mirrored.webp": encoded(picture(21), "WEBP", exif=exif(2), lossless=True),
        "broken exif.jpg": jpeg.replace(b"MM\x00*", b"MM\xff\xff").replace(b"II*\x00", b"II\xff\xff"),
        "impossible orientation.jpg": encoded(picture(23), "JPEG", exif=exif(99)),
        "broken profile.png": encoded(picture(24), icc_profile=b"none"),
        "animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated.webp": encoded(picture(25), "WEBP", save_all=True, append_images=frames[1:]),
        "animated.png": encoded(picture(26), "PNG", save_all=True, append_images=frames[1:]),
        "pages.tif": encoded(picture(27), "TIFF", save_all=True, append_images=frames[1:]),
        "film.avif": encoded(picture(40, (60, 40)), "AVIF"),
        "bitmap.bmp": encoded(picture(28), "BMP"),
        "tiny.png": encoded(picture(29, size=(1, 1))),
        "line.png": encoded(picture(30, size=(1, 900))),
        "no extension": encoded(picture(31)),
        "a jpeg.png": encoded(picture(32), "JPEG"),
        "UPPER.JPG": encoded(picture(33), "JPEG"),
        "\N{CJK UNIFIED IDEOGRAPH-732B} \u00fcml\u00e4ut.png": encoded(picture(34)),
        f"{'x' * 251}.png": encoded(picture(35)),
        "[b]'quoted\" $name$ <i>.png": encoded(picture(36)),
        "new\nline.png": encoded(picture(37)),
        "deeper/and deeper/inside.png": encoded(picture(38)),
        "more behind it.png": encoded(picture(39)) + b"something else",
        "copy.png": encoded(picture(2)),
    }  # fmt: skip


def bad_files():
    """Return by name the content of what is no picture to be used, and the reason."""
    large = picture(50, size=(90, 60))
    broken = bytearray(encoded(large))
    broken[len(broken) // 2] ^= 0xFF
    damaged = {f"half.{kind.lower()}": half(large, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")}
    nothing = {
        "text.jpg": b"not an image", "page.html": b"<html>", "drawing.svg": b"<svg xmlns='x'/>", "labels.csv": b"a,b\n",
        "film.mp4": b"\0\0\0\x18ftypmp42" + bytes(99), "archive.zip": b"PK\x03\x04" + bytes(99),
        "postscript.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "pixels.ppm": encoded(large, "PPM"),
        "icon.ico": encoded(large, "ICO"), "start.png": encoded(large)[:8],
        "telephone.heic": b"\0\0\0\x18ftypheic" + bytes(99),
    }  # fmt: skip
    return {
        "empty.png": (b"", "empty"),
        **{name: (content, "no image") for name, content in nothing.items()},
        **{name: (content, "damaged") for name, content in damaged.items()},
        "flipped.png": (bytes(broken), "damaged"),
        "float.tif": (encoded(picture(51, mode="F"), "TIFF"), "unsupported pixels"),
        "32 bits.tif": (encoded(picture(52, mode="I"), "TIFF"), "unsupported pixels"),
        "lab.tif": (encoded(Image.new("LAB", (9, 6)), "TIFF"), "unsupported pixels"),
        "large.png": (encoded(picture(53, size=(200, 101))), "too large"),
        "warned of.png": (png_of_size(10_000, 10_000), "too large"),
        "bomb.png": (png_of_size(60_000, 60_000), "too large"),
        ".DS_Store": (b"\0\0\0\x01Bud1", "system file"),
        "Thumbs.db": (b"\xd0\xcf\x11\xe0", "system file"),
        "._colour.png": (b"\0\x05\x16\x07", "system file"),
        ".git/HEAD": (b"ref: refs/heads/main", "system file"),
        "../__MACOSX/cat/colour.png": (b"\0\x05\x16\x07", "system file"),
        "../stray.png": (encoded(picture(54)), "outside the layout"),
        "both.png": (encoded(picture(55)), "shown in two classes"),
        "../dog/both.png": (encoded(picture(55)), "shown in two classes"),
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def plain(class_name, number):
    """Return a picture of its own for every class and number."""
    return picture(zlib.crc32(class_name.encode()) + number)


def plain_folder(root, classes=("cat", "dog", "owl"), each=10):
    """Write a folder with `each` plain pictures of every class; return by path what becomes of each file."""
    for name in classes:
        for number in range(each):
            write(root / name / f"{number}.png", encoded(plain(name, number)))
    return {f"{name}/{number}.png": USED for name in classes for number in range(each)}


def odd_folder(root):
    """Write a plain folder with every odd file in it; return by path what becomes of each file."""
    found = plain_folder(root)
    for name, content in good_files().items():
        write(root / "cat" / name, content)
        found[f"cat/{name}"] = USED
    for name, (content, reason) in bad_files().items():
        write(root / "cat" / name, content)
        found[os.path.normpath(f"cat/{name}")] = reason
    return found | links(root)


def links(root):
    """Add links, a pipe and a name that is no text; return what becomes of them."""
    secret = root.absolute().parent / "elsewhere" / "secret.png"
    write(secret, encoded(picture(70)))
    targets = {
        "link.png": ("colour.png", USED), "out.png": (secret, "link out of the folder"),
        "out": (secret.parent, "link out of the folder"), "nowhere.png": ("gone.png", "broken link"),
        "loop.png": ("loop.png", "broken link"), "dogs": ("../dog", "link to a folder"),
    }  # fmt: skip
    for name, (target, _) in targets.items():
        (root / "cat" / name).symlink_to(target)
    os.mkfifo(root / "cat" / "pipe.png")
    with open(os.fsencode(root / "cat") + b"/caf\xe9.png", "wb") as stream:  # noqa: PTH123  # a name of bytes
        stream.write(encoded(picture(71)))
    others = {"cat/pipe.png": "no regular file", "cat/caf\\xe9.png": "name not in UTF-8"}
    return {f"cat/{name}": outcome for name, (_, outcome) in targets.items()} | others


FOLDER = {
    "kind": "folder",
    "path": "photos",
    "held_out": ["owl"],
    "validation": 0.2,
    "test": 0.3,
    "limits": {"train": None, "validation": None, "test": None, "held_out": None},
    "on_bad_image": "skip",
    "largest_pixels": LARGEST,
    "seed": 0,
}
OTHERS = {
    "kind": "folder_images",
    "path": "others",
    "images": None,
    "on_bad_image": "skip",
    "largest_pixels": LARGEST,
    "seed": 0,
}
SETS = {
    **{f"id_{part}": {"group": "id", "source": "photos", "part": part} for part in ("train", "validation", "test")},
    "held_out": {"group": "near", "source": "photos", "part": "held_out"},
    "others": {"group": "far", "source": "others", "part": "all"},
}


def folder_data(**changes):
    """Return the `data` section over the folders photos/ and others/."""
    data = {"image_size": 32, "sources": {"photos": FOLDER, "others": OTHERS}, "sets": SETS}
    return changed(data, **changes)
