"""Write the page: one file of HTML that holds its figures and pictures, runs no script and asks for nothing outside.

Stage `score` writes it. By hand, without pictures, from what the stages left:

    python -c "
    from pathlib import Path
    from pipeline.files import read_json
    from pipeline.infer.table import read_table
    from pipeline.page.load import load_histories, load_made
    from pipeline.page.material import Material
    from pipeline.page.page import write_page
    table, reports = read_table(Path('data/scores/scores.parquet')), Path('reports')
    metrics, guard, quality = (read_json(reports / f'{name}.json') for name in ('metrics', 'guard', 'quality'))
    histories = load_histories({role: Path('models') / role for role in ('teacher', 'detector')}, table.seeds)
    made = load_made(Path('params.yaml'))
    write_page(Path('report.html'), Material(metrics, table, guard, quality, histories, {}, {}, made))"
"""

import base64
import io
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from pipeline.files import write_bytes
from pipeline.infer.table import SIDES
from pipeline.page.drawing import duration, graph_svg
from pipeline.page.figures import Panel, forest, headline_first, histogram_panel, roc_panel, training
from pipeline.page.graph import Graph
from pipeline.page.material import ID_TEST, Material
from pipeline.page.words import (
    GROUPS,
    PERCENT,
    STAND_INS,
    artefacts,
    entries,
    files_of_folders,
    group_name,
    interval,
    listing,
    near_duplicates,
    percent,
    repeated,
    score_name,
    shared,
    signed,
    spread,
    three_digits,
    threshold,
    verdict,
)
from pipeline.pictures import Line

PACKAGE = "pipeline.page"
LARGEST_SIDE = 160
"""Pixels a side from which on pictures are reduced, so that the page stays small enough to send."""
QUALITY = (
    ("passes_for_id", "pass for ID", "given to one class with confidence, and within its radius"),
    ("confident", "teacher is sure", "given to one class with confidence"),
    ("entropy", "entropy", "of the teacher's posterior, as a share of that of a guess"),
    ("beyond_all", "beyond every class", "outside the radius of every class"),
    ("own_class_distance", "own-class distance", "median distance to the row's own class, 1 is its boundary"),
    ("nearest_id", "nearest ID", "distance to the nearest ID training row, 1 is as among ID rows"),
    ("diversity", "diversity", "distance of two rows, 1 is as among ID rows"),
)
SHARES = ("passes_for_id", "confident", "entropy", "beyond_all")


def write_page(path: Path, material: Material) -> None:
    """Write the page to `path`: whole or not at all, the same bytes for the same material."""
    write_bytes(path, render(material).encode())


def render(material: Material) -> str:
    """Return the page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    tools = (percent, spread, signed, interval, score_name, group_name, three_digits)
    environment.filters |= {tool.__name__: tool for tool in (*tools, duration, data_uri, quality_value)}
    template = environment.from_string(_text("page.html.j2"))
    return template.render(
        material=material,
        metrics=material.metrics,
        said=_sentences(material),
        groups=[name for name in GROUPS if name in material.metrics["groups"]],
        style=_safe(_text("page.css")),
        sides=SIDES,
        quality_columns=QUALITY,
        scores=_scores(material),
        entries=entries(material.metrics),
        cards={name: cards(lines) for name, lines in material.outliers.items()},
        id_test=ID_TEST,
        **_figures(material),
    )


def _sentences(material: Material) -> dict[str, Any]:
    """Return what is said in words, by where it stands."""
    return {
        "verdict": verdict(material.metrics),
        "threshold": threshold(material.metrics),
        "stand_ins": STAND_INS,
        "guards": [say for of in (shared, repeated, near_duplicates, files_of_folders) for say in of(material.guard)],
        "artefacts": artefacts(material.metrics) if material.metrics["artefacts"] else "",
    }


def _figures(material: Material) -> dict[str, Any]:
    """Return the figures of each section, as markup."""
    graph = material.made.graph
    names = list(enumerate(material.ood_sets))
    return {
        "forest": [_panel(one) for one in forest(material)],
        "roc": [_panel(roc_panel(material, index, name)) for index, name in names],
        "histograms": [_panel(histogram_panel(material, index, name)) for index, name in names],
        "training": [_panel(one) for one in training(material)],
        "made_with": _made_with(graph),
        "graph": None if graph is None else _safe(graph_svg(graph)),
    }


def _panel(panel: Panel) -> tuple[str, Markup]:
    return panel.title, _safe(panel.svg)


def _scores(material: Material) -> list[str]:
    """Return the scores in the order of the page."""
    found = entries(material.metrics)
    return headline_first(found[0].values, material.headline) if found else [material.headline]


def _made_with(graph: Graph | None) -> list[tuple[str, str]]:
    """Return the systems and package versions that the log has, each with the stages that ran with it."""
    found: dict[str, list[str]] = {}
    stages = graph.stages if graph else ()
    ran = [(stage.name, stage.run) for stage in stages if stage.run]
    for name, run in ran:
        packages = ", ".join(f"{package} {version}" for package, version in run.versions)
        found.setdefault(f"{packages}; {run.platform}", []).append(name)
    everywhere = {what for what, names in found.items() if len(names) == len(stages)}
    return [(what, "all stages" if what in everywhere else listing(names)) for what, names in found.items()]


def cards(lines: tuple[Line, ...]) -> list[dict[str, Any]]:
    """Return one card per outlier: its title, and the name and picture of its parents and of itself."""
    return [
        {
            "title": lines[0].titles[index],
            "pictures": [(line.name, line.images[index]) for line in lines if index not in line.absent],
        }
        for index in range(len(lines[0].images))
    ]


def quality_value(found: dict[str, Any], key: str) -> str:
    """Return a value of quality.json as it is read: shares in percent, distances as they are, '-' for null."""
    value = found[key]
    if value is None:
        return "-"
    if isinstance(value, dict):
        return spread(value) + PERCENT
    return percent(value) + PERCENT if key in SHARES else f"{value:.2f}"


def data_uri(image: NDArray[np.float32]) -> str:
    """Return a picture (s, s, 3) in 0..1 as a PNG that the page itself holds."""
    pixels = Image.fromarray((255 * np.clip(image, 0, 1)).round().astype(np.uint8))
    if max(pixels.size) > LARGEST_SIDE:
        pixels.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    stream = io.BytesIO()
    pixels.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _text(name: str) -> str:
    return files(PACKAGE).joinpath(name).read_text(encoding="utf-8")


def _safe(text: str) -> Markup:
    """Return our own markup as such; what comes from a user is escaped where it is made."""
    return Markup(text)  # noqa: S704  # only drawings and the style sheet pass here
