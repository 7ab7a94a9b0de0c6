"""Draw the graph of stages as inline SVG, from top to bottom, narrow enough for a phone."""

from html import escape

from pipeline.page.graph import Graph, Stage
from pipeline.page.layers import place

BOX, PITCH, EDGE = 42.0, 74.0, 4.0
LETTER, NARROWEST = 7.6, 76.0
MULTIPLICATION = "\N{MULTIPLICATION SIGN}"


def graph_svg(graph: Graph) -> str:
    """Return the stages as boxes with their durations, and lines from each to those that read what it makes."""
    widths = {stage.name: max(NARROWEST, LETTER * len(stage.name) + 14) for stage in graph.stages}
    placed = place(graph, widths)
    lines = "\n".join(f'<path d="{_curve(line)}"/>' for line in placed.lines)
    boxes = "\n".join(_box(stage, placed.stages[stage.name], widths[stage.name]) for stage in graph.stages)
    wide, high = placed.width + 2 * EDGE, PITCH * (placed.layers - 1) + BOX + 2 * EDGE
    label = "Graph of the stages: " + "; ".join(f"{maker} to {reader}" for maker, reader in graph.edges)
    return (
        f'<svg class="stages" role="img" aria-label="{escape(label, quote=True)}" viewBox="0 0 {wide:.0f} {high:.0f}" '
        f'style="max-width: {wide:.0f}px" data-figure="stages">\n'
        f'<g class="lines">\n{lines}\n</g>\n{boxes}\n</svg>'
    )


def duration(seconds: float) -> str:
    """Return a duration in at most two units."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def _box(stage: Stage, middle: tuple[float, int], width: float) -> str:
    x, y = middle[0] + EDGE, middle[1] * PITCH + EDGE
    count = "" if stage.members is None else f"{stage.members} {MULTIPLICATION}, "
    below = count + ("-" if stage.run is None else duration(stage.run.seconds))
    return (
        f'<g class="{"stage" if stage.run else "stage unknown"}">'
        f'<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BOX:.0f}" rx="6"/>'
        f'<text class="name" x="{x:.1f}" y="{y + 18:.1f}">{escape(stage.name)}</text>'
        f'<text x="{x:.1f}" y="{y + 34:.1f}">{escape(below)}</text></g>'
    )


def _curve(line: list[tuple[float, int]]) -> str:
    """Return the path of a line from the lower edge of its first stage to the upper edge of its last."""
    x, layer = line[0][0] + EDGE, line[0][1]
    y = layer * PITCH + EDGE + BOX
    path = f"M{x:.1f} {y:.1f}"
    for step, (middle, number) in enumerate(line[1:], start=1):
        to_x, to_y = middle + EDGE, number * PITCH + EDGE
        half = (y + to_y) / 2
        path += f" C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
        if step < len(line) - 1:
            y += BOX
            path += f" V{y:.1f}"
    return path
