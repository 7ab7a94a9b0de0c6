"""Draw figures as PNG files. Text of users is no formula, and letters that no font has are escaped."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, findfont, fontManager, get_font
from matplotlib.text import Text

from pipeline.runtime.text.user_text import printable

NO_FORMULAS: Any = {"text.parse_math": False}
"""matplotlib's setting, wherever a figure is drawn, under which `$` is a letter like any other."""
LAST_RESORT = "Last Resort"
"""Fonts of this name have a box for every letter that exists."""


@contextmanager
def png_figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a figure of a size in inches, which is written to `path` at the end; equal figures are equal bytes.

    Letters that the usual font lacks are drawn in another font of this machine, or escaped if there is none.
    """
    with rc_context(NO_FORMULAS):
        figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            _make_drawable(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})  # without matplotlib's version


def _make_drawable(text: Text) -> None:
    """Escape what cannot be drawn, and add the fonts of letters that the text's font lacks."""
    lines = [printable(line) for line in text.get_text().split("\n")]
    letters = {letter for line in lines for letter in line}
    font = get_font(findfont(text.get_fontproperties()))
    other_fonts = {letter: _font_with(letter) for letter in sorted(letters) if not font.get_char_index(ord(letter))}
    escapes = {ord(letter): ascii(letter)[1:-1] for letter, family in other_fonts.items() if family is None}
    text.set_text("\n".join(lines).translate(escapes))
    if families := {family for family in other_fonts.values() if family is not None}:
        text.set_fontfamily([*text.get_fontfamily(), *sorted(families)])


@cache
def _font_with(letter: str) -> str | None:
    """Return the family of a font of this machine that can draw a letter; None if there is none."""
    fonts = sorted(fontManager.ttflist, key=lambda font: (font.style != "normal", abs(_weight(font) - 400), font.name))
    return next((font.name for font in fonts if LAST_RESORT not in font.name and _can_draw(font, letter)), None)


def _weight(font: FontEntry) -> int:
    return font.weight if isinstance(font.weight, int) else 400  # some fonts say it in a word


def _can_draw(entry: FontEntry, letter: str) -> bool:
    """Return whether a font has a letter as an outline; fonts of coloured pictures have none."""
    try:
        font = get_font(entry.fname)
        if not font.get_char_index(ord(letter)):
            return False
        font.set_size(12, 72)
        font.load_char(ord(letter))
    except (OSError, RuntimeError):
        return False
    return True
