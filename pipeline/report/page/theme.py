"""Draw with matplotlib in the colours of the page: inline SVG that follows light and dark mode."""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pipeline.runtime.text.figure import NO_FORMULAS

NAMES = ("ink", "soft", "rule", "paper", "baseline", "detector", "id", "outlier", "better", "worse", "undecided")
COLOURS = {name: f"#0a0b{index:02x}" for index, name in enumerate(NAMES)}
"""Placeholder colours for matplotlib, one per colour of the page; in the SVG each becomes `var(--<name>)`."""

WIDTH = 340
"""Width of a figure in the units of its SVG, which are CSS pixels on a narrow phone."""
STYLE: Any = {
    **NO_FORMULAS,
    "svg.fonttype": "none",
    "svg.hashsalt": "page",
    "font.size": 11,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["rule"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.labelsize": 11,
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": COLOURS["rule"],
    "ytick.color": COLOURS["rule"],
    "xtick.labelcolor": COLOURS["soft"],
    "ytick.labelcolor": COLOURS["soft"],
    "grid.color": COLOURS["rule"],
    "grid.linewidth": 0.6,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "hatch.color": COLOURS["outlier"],
    "hatch.linewidth": 0.8,
}
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
COORDINATES = re.compile(r'(?<= )(d|x|y|width|height|transform)="[^"]*"')
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def themed_svg(
    name: str,
    alt: str,
    height: float,
    margins: tuple[float, float, float, float],
    draw: Callable[[Axes], None],
) -> str:
    """Return one panel as an inline SVG; the same drawing gives the same bytes, whatever was drawn before.

    name: the prefix of all ids in the panel, unique on the page. alt: the description for readers who cannot see it.
    height and margins (left, right, top, bottom) around the axes: in units of which the figure is WIDTH wide.
    """
    left_margin, right_margin, top_margin, bottom_margin = margins
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        FigureCanvasSVG(figure)
        box = (
            left_margin / WIDTH,
            bottom_margin / height,
            1 - (left_margin + right_margin) / WIDTH,
            1 - (top_margin + bottom_margin) / height,
        )
        draw(figure.add_axes(box))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata=NO_METADATA)
    return _inline(stream.getvalue(), name, alt)


def _inline(document: str, name: str, alt: str) -> str:
    """Return the drawing of an SVG document as an element of the page."""
    drawing = document[document.index("<svg") : document.index("</svg>")]
    view = re.search(r'viewBox="([^"]+)"', drawing)
    assert view is not None, "matplotlib writes a viewBox"
    body = drawing[drawing.index(">") + 1 :]
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)  # it would apply to the whole page
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*", "font-family: inherit", body)
    for colour, placeholder in COLOURS.items():
        body = body.replace(placeholder, f"var(--{colour})")
    body = COORDINATES.sub(lambda match: LONG_NUMBER.sub(_hundredths, match[0]), _with_prefixed_ids(body, name))
    label = escape(alt, quote=True)
    body = re.sub(r"\s*\n\s*", "\n", body).strip()
    return (
        f'<svg class="plot" role="img" aria-label="{label}" viewBox="{view[1]}" data-figure="{name}">\n{body}\n</svg>'
    )


def _hundredths(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}"


def _with_prefixed_ids(body: str, name: str) -> str:
    """Return the drawing with `name` before each id; ids without a reference are removed."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', body))

    def renamed(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    body = re.sub(r' id="([^"]+)"', renamed, body)
    return re.sub(r'(url\(|xlink:href=")#', rf"\1#{name}-", body)
