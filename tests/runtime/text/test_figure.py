"""A figure shows every name: no formula, no letter that is missing."""

import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from PIL import Image

from pipeline.runtime.text import figure as module
from pipeline.runtime.text.figure import png_figure

PICTURE = Path("a/picture.png")
CAT = "猫"


@pytest.fixture(autouse=True)
def fonts(monkeypatch):
    """Only the fonts that come with matplotlib, whatever this machine has."""
    shipped = [font for font in font_manager.fontManager.ttflist if font.fname.startswith(mpl.get_data_path())]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", shipped)
    module._font_with.cache_clear()
    yield
    module._font_with.cache_clear()


def font_with_a_cat(path):
    """A font of one letter: a filled square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "cat"])
    builder.setupCharacterMap({ord(CAT): "cat"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "cat": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "cat": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Cats", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def drawn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with png_figure(PICTURE, 3, 2) as figure:
            figure.suptitle(name)
            figure.add_subplot().set_title(name)
    return [text.get_text() for text in (figure._suptitle, figure.axes[0].title)]


def pixels():
    with Image.open(PICTURE) as picture:
        return np.asarray(picture.convert("L"))


@pytest.mark.parametrize("name", ["$10_to_$20", "$x_$", r"\frac $\oops$", "50% 'a'\n+ 50% 'b'"])
def test_text_is_no_formula(name):
    assert drawn(name) == [name, name]
    assert pixels().shape == (220, 330)


def test_letters_that_no_font_has_are_escaped():
    assert drawn(f"red {CAT}\x1b") == [r"red \u732b\x1b"] * 2


def test_letters_are_drawn_in_a_font_that_has_them(tmp_path):
    font_with_a_cat(tmp_path / "cats.ttf")
    font_manager.fontManager.addfont(tmp_path / "cats.ttf")
    assert drawn(CAT) == [CAT, CAT]
    assert (pixels()[:20] < 100).sum() > 20  # the square in the title


def test_equal_figures_are_equal_bytes():
    drawn("fox")
    first = PICTURE.read_bytes()
    drawn("fox")
    assert PICTURE.read_bytes() == first
