"""Print the reports of the stages as the tables that end `make repro`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from pipeline.outliers.stand_ins.names import STAND_IN
from pipeline.params.quality import QUALITY_FORMAT
from pipeline.params.score import METRICS_FORMAT
from pipeline.report.columns import COLUMNS, RIVAL_COLUMNS, Column
from pipeline.report.sentences import GROUPS, mean_std, score_name, set_title, verdict_sentence
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.report_file import read_report
from pipeline.runtime.text.terminal import Console, styled

QUALITY_LEGEND = """pass for ID: given to one class with more than `quality.confidence`, and within its radius.
own-class distance: median k-NN distance to the row's own class in that class's radii, so that 1 is the boundary.
nearest ID, diversity: distance to the nearest ID training row, of two rows; 1 is as among ID rows."""
VERDICT_STYLE = {"better": "green", "worse": "red", "undecided": "yellow"}


def print_results(metrics_file: Path, console: Console, *, all_scores: bool = False) -> None:
    """Print what the detector does in plain words, the verdict, the result table and the sentences below it.

    The table shows the headline score; with `all_scores` it shows the others too. Raises PipelineError when there is no
    such file.
    """
    report = read_report(metrics_file, METRICS_FORMAT, "score")
    with _explain_missing_keys(metrics_file, "score"):
        words, verdict, notes = "\n".join(report["plain_words"]), verdict_sentence(report), conclusion(report)
        tables = [results_table(report, all_scores=all_scores)] if report["sets"] else []
        if (rival := report.get("rival")) is not None:
            verdict = "\n".join([verdict, *rival["sentences"]])
            tables += [rival_table(rival)] if rival["sets"] else []
    console.print_lines(f"\n{words}\n\n{verdict}\n")
    for table in tables:
        console.print(table)
    console.print_lines(notes)


def print_quality(quality_file: Path, console: Console) -> None:
    """Print the quality of the outliers of each method; raises PipelineError when there is no such file."""
    report = read_report(quality_file, QUALITY_FORMAT, "quality")
    with _explain_missing_keys(quality_file, "quality"):
        table = quality_table(report)
    console.print(table)
    console.print_lines(QUALITY_LEGEND)


@contextmanager
def _explain_missing_keys(path: Path, stage: str) -> Iterator[None]:
    """Turn the error of a missing or misplaced key into a PipelineError that names the stage to run again."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise PipelineError(f"{path}: it lacks {error}; run `dvc repro --force {stage}`.") from error


def quality_table(report: dict[str, Any]) -> Table:
    """Return a table with a row per method, below a row of ID validation images, which no teacher has seen."""
    table = Table(title="outliers before any training")
    table.add_column("rows from")
    for name in ("pass for ID", "teacher is sure", "entropy", "beyond every class", "own-class distance", "nearest ID"):
        table.add_column(name, justify="right")
    table.add_column("diversity", justify="right")
    for name, entry in {"ID validation": report["id_validation"], **report["methods"]}.items():
        class_distance = entry["own_class_distance"]
        table.add_row(
            name,
            *(f"{mean_std(entry[key])} %" for key in ("passes_for_id", "confident", "entropy")),
            f"{100 * entry['beyond_all']:.1f} %",
            "-" if class_distance is None else f"{class_distance:.2f}",
            f"{entry['nearest_id']:.2f}",
            "-" if entry["diversity"] is None else f"{entry['diversity']:.2f}",
            end_section=name == "ID validation",
        )
    return table


def results_table(report: dict[str, Any], *, all_scores: bool) -> Table:
    """Return a table with a row per group, then a row per OOD set: of the headline score, or of every score."""
    seeds, headline = len(report["seeds"]), report["score"]
    subject = "stand-ins for OOD images, no real ones: detection" if STAND_IN in report["groups"] else "OOD detection"
    by_score = "each score" if all_scores else f"the {score_name(headline)} score"
    table = Table(title=f"{subject} by {by_score}, in percent, mean ± std over {seeds} seed{'s' * (seeds > 1)}")
    for name in ("images", "score") if all_scores else ("images",):
        table.add_column(name)
    _add_columns(table, COLUMNS)
    groups = {f"{name} (mean)": report["groups"][name] for name in GROUPS if name in report["groups"]}
    for entries in (groups, {set_title(report, name): entry for name, entry in report["sets"].items()}):
        for name, entry in entries.items():
            for score in sorted(entry, key=lambda name: (name != headline, name)) if all_scores else [headline]:
                row_titles = [name if score == headline else "", score] if all_scores else [name]
                table.add_row(*row_titles, *(cell(column, entry[score]) for column in COLUMNS))
            if all_scores:
                table.add_section()
        table.add_section()
    return table


def rival_table(section: dict[str, Any]) -> Table:
    """Return a table of the detector beside what one would take instead, with a row per group, then per OOD set."""
    seeds = section["seeds"]
    networks = "one fit" if section["kind"] == "regression" else f"{seeds} seed{'s' * (seeds > 1)}"
    table = Table(title=f"rival: {section['title']} ({networks}), by {score_name(section['score'])}")
    table.add_column("images")
    _add_columns(table, RIVAL_COLUMNS)
    groups = {f"{name} (mean)": section["groups"][name] for name in GROUPS if name in section["groups"]}
    for entries in (groups, section["sets"]):
        for name, entry in entries.items():
            table.add_row(name, *(cell(column, entry) for column in RIVAL_COLUMNS))
        table.add_section()
    return table


def _add_columns(table: Table, columns: Iterable[Column]) -> None:
    for column in columns:
        table.add_column(column.title, justify="left" if column.kind == "verdict" else "right")


def conclusion(report: dict[str, Any]) -> str:
    """Return sentences on accuracy, threshold and warnings."""
    accuracy, threshold = report["id_accuracy"], report["threshold"]
    shares = ", ".join(f"{100 * share:.1f} % of {name}" for name, share in threshold["ood_detected"].items())
    detected = f" and detects {shares}" if shares else "; no OOD images were scored"
    return (
        f"ID accuracy: baseline {mean_std(accuracy['baseline'])}, detector {mean_std(accuracy['detector'])}.\n"
        f"Threshold for {100 * threshold['id_rejection_target']:.0f} % rejected ID validation images: it rejects "
        f"{100 * threshold['id_rejection_test']:.1f} % of ID test{detected}.\n"
        f"baseline: cross-entropy only, with the same score. FPR95: share of ID flagged when 95 % of OOD is caught."
        + "".join(f"\nWarning: {warning}" for warning in report["warnings"])
    )


def cell(column: Column, entry: dict[str, Any]) -> str | Text:
    """Return a cell of a table on the terminal."""
    value = column.value(entry)
    if column.kind == "value":
        return mean_std(value)
    return interval(value) if column.kind == "difference" else coloured_verdict(value)


def interval(gain: dict[str, Any]) -> str:
    """Return a difference and its interval in points of a percentage."""
    low, high = gain["ci95"]
    return f"{100 * gain['mean']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def coloured_verdict(gain: dict[str, Any]) -> Text:
    """Return the verdict on a difference in its colour."""
    return styled(gain["verdict"], VERDICT_STYLE[gain["verdict"]])
