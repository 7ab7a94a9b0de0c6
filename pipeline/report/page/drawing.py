"""Draw the graph of stages as inline SVG, from top to bottom, narrow enough for a phone."""

from html import escape

from pipeline.report.page.stage_graph import Graph, Stage
from pipeline.report.page.stage_layers import lay_out

BOX_HEIGHT, LAYER_PITCH, MARGIN = 42.0, 74.0, 4.0
LETTER_WIDTH, LEAST_WIDTH = 7.6, 76.0
MULTIPLICATION = "\N{MULTIPLICATION SIGN}"


def graph_svg(graph: Graph) -> str:
    """Return the stages as boxes with their durations, and lines from each stage to the readers of its outputs."""
    box_widths = {stage.name: max(LEAST_WIDTH, LETTER_WIDTH * len(stage.name) + 14) for stage in graph.stages}
    layout = lay_out(graph, box_widths)
    lines = "\n".join(f'<path d="{_curve(line)}"/>' for line in layout.lines)
    boxes = "\n".join(_box(stage, layout.stages[stage.name], box_widths[stage.name]) for stage in graph.stages)
    width, height = layout.width + 2 * MARGIN, LAYER_PITCH * (layout.layers - 1) + BOX_HEIGHT + 2 * MARGIN
    label = "Graph of the stages: " + "; ".join(f"{maker} to {reader}" for maker, reader in graph.edges)
    return (
        f'<svg class="stages" role="img" aria-label="{escape(label, quote=True)}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" style="max-width: {width:.0f}px" data-figure="stages">\n'
        f'<g class="lines">\n{lines}\n</g>\n{boxes}\n</svg>'
    )


def duration(seconds: float) -> str:
    """Return a duration in at most two units."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    total = round(seconds)
    return (
        f"{total // 60} min {total % 60:02d} s" if total < 3600 else f"{total // 3600} h {total % 3600 // 60:02d} min"
    )


def _box(stage: Stage, centre: tuple[float, int], width: float) -> str:
    x, y = centre[0] + MARGIN, centre[1] * LAYER_PITCH + MARGIN
    count = "" if stage.members is None else f"{stage.members} {MULTIPLICATION}, "
    second_line = count + ("-" if stage.run is None else duration(stage.run.seconds))
    return (
        f'<g class="{"stage" if stage.run else "stage unknown"}">'
        f'<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BOX_HEIGHT:.0f}" rx="6"/>'
        f'<text class="name" x="{x:.1f}" y="{y + 18:.1f}">{escape(stage.name)}</text>'
        f'<text x="{x:.1f}" y="{y + 34:.1f}">{escape(second_line)}</text></g>'
    )


def _curve(line: list[tuple[float, int]]) -> str:
    """Return the path of a line from the lower edge of its first stage to the upper edge of its last."""
    x, layer = line[0][0] + MARGIN, line[0][1]
    y = layer * LAYER_PITCH + MARGIN + BOX_HEIGHT
    path = f"M{x:.1f} {y:.1f}"
    for step, (centre, number) in enumerate(line[1:], start=1):
        to_x, to_y = centre + MARGIN, number * LAYER_PITCH + MARGIN
        half = (y + to_y) / 2
        path += f" C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
        if step < len(line) - 1:
            y += BOX_HEIGHT
            path += f" V{y:.1f}"
    return path
