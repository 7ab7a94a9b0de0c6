"""Write the page: one HTML file that contains its figures and pictures, and asks for nothing from the network.

Its only script moves the slider of thresholds along the table below it; without scripts the table says the same.

Stage `score` writes it. To write it by hand, without pictures, from the outputs of the stages:

    python -c "
    from pathlib import Path
    from pipeline.posthoc.table_file import read_table
    from pipeline.report.page.content import PageContent
    from pipeline.report.page.load import load_histories, load_run_record
    from pipeline.report.page.page import write_page
    from pipeline.runtime.files import read_json
    table, reports = read_table(Path('data/scores/scores.parquet')), Path('reports')
    metrics, guard, quality = (read_json(reports / f'{name}.json') for name in ('metrics', 'guard', 'quality'))
    histories = load_histories({role: Path('models') / role for role in ('teacher', 'detector')}, table.seeds)
    record = load_run_record(Path('params.yaml'))
    write_page(Path('report.html'), PageContent(metrics, table, guard, quality, histories, {}, {}, record))"
"""

import base64
import hashlib
import io
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from pipeline.posthoc.table import SIDES
from pipeline.report.advice import NEAR_CHANCE
from pipeline.report.classes import confusion
from pipeline.report.columns import COLUMNS, RIVAL_COLUMNS
from pipeline.report.grid import PictureRow
from pipeline.report.hardest import ID_TEST
from pipeline.report.latent_facts import latent_sentences
from pipeline.report.other_thresholds import threshold_words
from pipeline.report.page.content import PageContent
from pipeline.report.page.drawing import duration, graph_svg
from pipeline.report.page.figures import (
    Panel,
    forest,
    headline_first,
    histogram_panel,
    rejection_panel,
    roc_panel,
    training,
)
from pipeline.report.page.stage_graph import Graph
from pipeline.report.sentences import (
    GROUPS,
    PERCENT,
    STAND_INS_SENTENCE,
    artefact_sentences,
    entries,
    folder_sentences,
    group_name,
    interval,
    joined_words,
    mean_std,
    near_duplicate_sentences,
    percent,
    repeated_sentences,
    score_name,
    shared_sentences,
    signed,
    three_digits,
    threshold_sentence,
    verdict_sentence,
)
from pipeline.runtime.files import write_bytes

PACKAGE = "pipeline.report.page"
LARGEST_SIDE = 160
"""Largest width and height of a picture in pixels; larger pictures are reduced, which keeps the page small."""
QUALITY_COLUMNS = (
    ("passes_for_id", "pass for ID", "given to one class with confidence, and within its radius"),
    ("confident", "teacher is sure", "given to one class with confidence"),
    ("entropy", "entropy", "of the teacher's posterior, as a share of that of a guess"),
    ("beyond_all", "beyond every class", "outside the radius of every class"),
    ("own_class_distance", "own-class distance", "median distance to the row's own class, 1 is its boundary"),
    ("nearest_id", "nearest ID", "distance to the nearest ID training row, 1 is as among ID rows"),
    ("diversity", "diversity", "distance of two rows, 1 is as among ID rows"),
)
SHARES = ("passes_for_id", "confident", "entropy", "beyond_all")


def write_page(path: Path, content: PageContent) -> None:
    """Write the page to `path`, atomically; the same content gives the same bytes."""
    write_bytes(path, render(content).encode())


def render(content: PageContent) -> str:
    """Return the page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters = (percent, mean_std, signed, interval, score_name, group_name, three_digits)
    more = (duration, data_uri, quality_value, threshold_words)
    environment.filters |= {function.__name__: function for function in (*filters, *more)}
    template = environment.from_string(_text("page.html.j2"))
    script = _text("page.js")
    return template.render(
        content=content,
        metrics=content.metrics,
        title=content.run_record.title,
        began=_last_day(content.run_record.graph),
        script=_safe(script),
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        chosen_threshold=[*content.metrics["thresholds"]].index(
            f"{content.metrics['threshold']['id_rejection_target']:g}"
        ),
        confusion=confusion(content.table).tolist(),
        near_chance=NEAR_CHANCE,
        sentences=_page_sentences(content),
        groups=[name for name in GROUPS if name in content.metrics["groups"]],
        style=_safe(_text("page.css")),
        sides=SIDES,
        columns=COLUMNS,
        rival=content.metrics.get("rival"),
        rival_columns=RIVAL_COLUMNS,
        rival_entries=entries(content.metrics["rival"]) if "rival" in content.metrics else [],
        quality_columns=QUALITY_COLUMNS,
        scores=_scores(content),
        entries=entries(content.metrics),
        cards={name: cards(lines) for name, lines in content.outliers.items()},
        id_test=ID_TEST,
        **_figures(content),
    )


def _last_day(graph: Graph | None) -> str | None:
    """Return the day on which the last stage ran, as in 2026-11-30; None where the log does not say."""
    days = [stage.run.began[:10] for stage in (graph.stages if graph else ()) if stage.run]
    return max(days, default=None)


def _page_sentences(content: PageContent) -> dict[str, Any]:
    """Return the sentences of the page, by the name of their position in the template."""
    latents = content.metrics.get("latents")
    about_guard = (shared_sentences, repeated_sentences, near_duplicate_sentences, folder_sentences)
    return {
        "verdict": verdict_sentence(content.metrics),
        "threshold": threshold_sentence(content.metrics),
        "stand_ins": STAND_INS_SENTENCE,
        "latents": latents and latent_sentences(latents, content.run_record.seconds_per_image),
        "guards": [sentence for sentences in about_guard for sentence in sentences(content.guard)],
        "artefacts": artefact_sentences(content.metrics) if content.metrics["artefacts"] else "",
    }


def _figures(content: PageContent) -> dict[str, Any]:
    """Return the figures of each section as markup."""
    graph = content.run_record.graph
    names = list(enumerate(content.ood_sets))
    return {
        "forest": [_panel(panel) for panel in forest(content)],
        "roc": [_panel(roc_panel(content, index, name)) for index, name in names],
        "rejection": _panel(rejection_panel(content)),
        "histograms": [_panel(histogram_panel(content, index, name)) for index, name in names],
        "training": [_panel(panel) for panel in training(content)],
        "environments": _environments(graph),
        "graph": None if graph is None else _safe(graph_svg(graph)),
    }


def _panel(panel: Panel) -> tuple[str, Markup]:
    return panel.title, _safe(panel.svg)


def _scores(content: PageContent) -> list[str]:
    """Return the scores in the order of the page."""
    metric_entries = entries(content.metrics)
    return headline_first(metric_entries[0].values, content.headline) if metric_entries else [content.headline]


def _environments(graph: Graph | None) -> list[tuple[str, str]]:
    """Return the package versions and systems from the log, each with the stages that ran with it."""
    stages_by_environment: dict[str, list[str]] = {}
    stages = graph.stages if graph else ()
    ran = [(stage.name, stage.run) for stage in stages if stage.run]
    for name, run in ran:
        packages = ", ".join(f"{package} {version}" for package, version in run.versions)
        stages_by_environment.setdefault(f"{packages}; {run.platform}", []).append(name)
    return [
        (environment, "all stages" if len(names) == len(stages) else joined_words(names))
        for environment, names in stages_by_environment.items()
    ]


def cards(picture_rows: tuple[PictureRow, ...]) -> list[dict[str, Any]]:
    """Return one card per outlier: its title, and the names and pictures of its parents and of the outlier."""
    return [
        {
            "title": picture_rows[0].titles[index],
            "pictures": [(row.name, row.images[index]) for row in picture_rows if index not in row.absent],
        }
        for index in range(len(picture_rows[0].images))
    ]


def quality_value(entry: dict[str, Any], key: str) -> str:
    """Return a value of quality.json as text: shares in percent, distances with two decimals, '-' for null."""
    value = entry[key]
    if value is None:
        return "-"
    if isinstance(value, dict):
        return mean_std(value) + PERCENT
    return percent(value) + PERCENT if key in SHARES else f"{value:.2f}"


def data_uri(image: NDArray[np.float32]) -> str:
    """Return a picture (s, s, 3) in 0..1 as a PNG in a data URI."""
    pixels = Image.fromarray((255 * np.clip(image, 0, 1)).round().astype(np.uint8))
    if max(pixels.size) > LARGEST_SIDE:
        pixels.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    stream = io.BytesIO()
    pixels.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _text(name: str) -> str:
    return files(PACKAGE).joinpath(name).read_text(encoding="utf-8")


def _safe(text: str) -> Markup:
    """Mark text as safe HTML; names from users are escaped where the text is made."""
    return Markup(text)  # noqa: S704  # only drawings and the style sheet pass here
