"""Formats of telephones are read, and a file of another format says what it is."""

from io import BytesIO

import pytest

from pipeline.images import formats
from pipeline.images.decode import NoPictureError, decode
from pipeline.images.formats import HEIF, SUFFIXES, has_known_format, readable_formats
from tests.images.odd import encoded, half, picture

HEIC = b"\0\0\0\x18ftypheic" + bytes(99)


def refused(content):
    with pytest.raises(NoPictureError) as caught:
        decode(BytesIO(content), 10**6)
    return str(caught.value)


def test_avif_is_read():
    content = encoded(picture(1, (60, 40)), "AVIF", quality=100)
    assert decode(BytesIO(content), 10**6).size == (60, 40)


def test_heic_is_read_where_the_extra_is_installed():
    pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    assert HEIF in readable_formats()
    content = encoded(picture(1, (60, 40)), HEIF)
    assert decode(BytesIO(content), 10**6).size == (60, 40)
    assert "damaged HEIC" in refused(content[: len(content) // 2])


def test_heic_names_the_extra_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(formats, "readable_formats", lambda: formats.FORMATS)
    assert "HEIC, which needs the extra: pip install -c constraints.txt -e '.[heif]'" in refused(HEIC)


def test_a_pointer_of_git_lfs_says_so():
    assert "`git lfs pull` fetches it" in refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


@pytest.mark.parametrize(("content", "known"), [(b"", False), (b"a,b", False), (half(picture(1), "PNG"), True)])
def test_a_damaged_picture_still_begins_like_one(content, known):
    assert has_known_format(BytesIO(content)) == known


def test_suffixes_are_in_lower_case():
    assert [suffix for suffix in SUFFIXES if suffix != suffix.lower() or suffix[0] != "."] == []
