"""Only the pixels of a file decide whether it is a picture, and a picture costs no more work than its pixels do."""

import struct
import zlib
from io import BytesIO
from time import process_time

import numpy as np
import pytest
from PIL import Image

from pipeline.images.decode import decode
from pipeline.images.encoded.no_picture import NoPictureError
from tests.images.odd import encoded, exif, picture
from tests.images.test_decode import upright_oracle, values

LARGEST = 1_000_000
LONG = zlib.compress(bytes(2**21))
FAULTY_CHUNKS = {
    "long compressed text": (b"zTXt", b"Comment\0\0" + LONG),
    "long international text": (b"iTXt", b"Comment\0\1\0\0\0" + LONG),
    "long profile": (b"iCCP", b"profile\0\0" + LONG),
    "profile that is none": (b"iCCP", b"profile"),
    "short gamma": (b"gAMA", b"\0"),
    "short resolution": (b"pHYs", b"\0\0"),
    "short primaries": (b"cHRM", b"\0"),
    "short intent": (b"sRGB", b""),
    "animation of no frames": (b"acTL", b"\0"),
    "exif that is none": (b"eXIf", b"none"),
    "exif text that is none": (b"tEXt", b"Raw profile type exif\0none"),
    "xmp that is none": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0\xff\xfe"),
}


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, body) for name, body in chunks)


def chunks_of(content):
    """Return the chunks of a PNG file as pairs of name and body."""
    found, place = [], 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += length + 12
    return found


def decoded(content):
    return values(decode(BytesIO(content), LARGEST))


def problem(content, largest=LARGEST):
    with pytest.raises(NoPictureError) as caught:
        decode(BytesIO(content), largest)
    return str(caught.value)


@pytest.mark.parametrize("behind", [1, -1], ids=["before the pixels", "behind them"])
@pytest.mark.parametrize("name", FAULTY_CHUNKS)
def test_faulty_metadata_of_a_png_change_nothing(name, behind):
    whole = chunks_of(encoded(picture(0)))
    assert decoded(png([*whole[:behind], FAULTY_CHUNKS[name], *whole[behind:]])).tolist() == values(picture(0)).tolist()


def with_wrong_checksum(content, name):
    place = content.index(name) - 4
    end = place + 12 + int.from_bytes(content[place : place + 4], "big")
    return content[: end - 1] + bytes([content[end - 1] ^ 1]) + content[end:]


@pytest.mark.parametrize("name", [b"gAMA", b"tEXt", b"eXIf", b"IEND"])
def test_a_wrong_checksum_of_metadata_changes_nothing(name):
    whole = chunks_of(encoded(picture(0)))
    metadata = {b"gAMA": bytes(4), b"tEXt": b"a\0b", b"eXIf": b"none"}
    content = png([whole[0], *metadata.items(), *whole[1:]])
    assert decoded(with_wrong_checksum(content, name)).tolist() == values(picture(0)).tolist()


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"tRNS", b"IDAT"])
def test_a_wrong_checksum_of_pixels_is_damage(name):
    content = encoded(picture(0, mode="P"), transparency=1)
    assert problem(with_wrong_checksum(content, name)) == f"damaged (wrong checksum of chunk {name.decode()})"


def test_pixels_that_are_missing_are_damage():
    whole = chunks_of(encoded(picture(0, size=(60, 40))))
    assert "damaged" in problem(png([whole[0], whole[-1]]))
    assert "damaged" in problem(png([whole[0], (b"IDAT", whole[1][1][:-30]), whole[-1]]))
    assert problem(png([whole[0], *whole])) == "damaged (two headers)"


@pytest.mark.parametrize("kind", ["exif", "text", "xmp"])
def test_a_png_is_turned_by_any_orientation_that_pillow_knows(kind):
    whole = chunks_of(encoded(picture(0)))
    tiff = exif(6).tobytes().removeprefix(b"Exif\0\0")
    hexadecimal = f"\nexif\n{len(tiff) + 6}\n{(b'Exif' + bytes(2) + tiff).hex()}\n".encode()
    metadata = {
        "exif": (b"eXIf", tiff),
        "text": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexadecimal)),
        "xmp": (b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'),
    }
    found = decoded(png([whole[0], *whole[1:-1], metadata[kind], whole[-1]]))
    np.testing.assert_array_equal(found, upright_oracle(values(picture(0)), 6))


@pytest.mark.parametrize(("bits", "level"), [(2, 1), (4, 5), (16, 1000)])
def test_a_transparent_level_of_gray_shows_white(bits, level):
    line = level << 16 | 7 if bits == 16 else (level << 8 - bits)
    pixels = zlib.compress(b"\0" + line.to_bytes(4 if bits == 16 else 1, "big"))
    header = struct.pack(">IIBBBBB", 2, 1, bits, 0, 0, 0, 0)
    found = decoded(png([(b"IHDR", header), (b"tRNS", struct.pack(">H", level)), (b"IDAT", pixels)]))
    assert found[0, :, 0].tolist() == [255, 0]


SEGMENTS = {
    "short JFIF": (0xE0, b"JFIF\0"),
    "short Adobe": (0xEE, b"Adobe"),
    "short profile": (0xE2, b"ICC_PROFILE\0"),
    "pictures that are none": (0xE2, b"MPF\0none"),
    "exif that is none": (0xE1, b"Exif\0\0none"),
    "resources that are none": (0xED, b"Photoshop 3.0\x008BIM"),
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_faulty_metadata_of_a_jpeg_change_nothing(name):
    marker, body = SEGMENTS[name]
    content = encoded(picture(0), "JPEG")
    faulty = content[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + content[2:]
    assert decoded(faulty).tolist() == decoded(content).tolist()


def of_many_scans(scans, size):
    """Return a progressive JPEG whose last scan is repeated."""
    content = encoded(picture(0, size=size), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * scans + content[-2:]


def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded():
    content = of_many_scans(2_000, (900, 900))
    before = process_time()
    assert "too much work (2,010 scans of 900 x 900 pixels, wanted at most 24)" in problem(content)
    assert process_time() - before < 0.5
    assert decoded(of_many_scans(200, (90, 90))).shape == (90, 90, 3)


def tiff(entries, data):
    """Return a little-endian TIFF file of these tags (of one value, or more in `data`) and this data at byte 8."""
    start = 8 + len(data)
    body = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in entries)
    return b"II*\0" + struct.pack("<I", start) + data + struct.pack("<H", len(entries)) + body + bytes(4)


def test_a_tiff_that_names_one_strip_very_often_is_refused():
    strips = 5_000
    offsets, counts = struct.pack("<I", 8) * strips, struct.pack("<I", 4000) * strips
    data = bytes(4000) + offsets + counts
    size = [(256, 1, 1), (257, 1, 4000), (258, 1, 8), (259, 1, 1), (262, 1, 1)]
    strip_tags = [(273, strips, 4008), (277, 1, 1), (278, 1, 1), (279, strips, 4008 + 4 * strips)]
    assert "too much work (decoded from 20,000,000 bytes" in problem(tiff(size + strip_tags, data))


def test_a_bmp_of_run_lengths_is_refused_above_a_size_of_its_own():
    header = struct.pack("<IiiHHIIiiII", 40, 4097, 4097, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024)
    runs = b"\1\0\0\0" * 4097 + b"\0\1"
    content = b"BM" + struct.pack("<IHHI", 14 + len(header) + len(runs), 0, 0, 14 + len(header)) + header + runs
    assert "too large (4097 x 4097 pixels, wanted at most 16,777,216)" in problem(content, 10**8)


def test_chunks_without_end_are_refused():
    whole = chunks_of(encoded(picture(0)))
    content = png([whole[0]]) + chunk(b"abCd", b"") * (2**20 + 1)
    assert "too much work (more than 1,048,576 parts of a file)" in problem(content)


def test_the_limit_of_pixels_may_be_above_the_one_of_pillow(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF"):
        assert decoded(encoded(picture(0, size=(30, 20)), kind)).shape == (20, 30, 3)


def test_libtiff_says_nothing_of_its_own(capfd):
    content = bytearray(encoded(Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)), "TIFF",
                                compression="tiff_deflate"))  # fmt: skip
    content[20:60] = b"\xff" * 40
    assert "damaged" in problem(bytes(content))
    assert capfd.readouterr().err == ""
