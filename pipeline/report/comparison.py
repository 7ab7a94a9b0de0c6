"""Print the result of `latent-outliers compare`: parameters that differ, then every run under the first run."""

from typing import Any

from rich.table import Table
from rich.text import Text

from pipeline.outliers.stand_ins.names import STAND_IN
from pipeline.report.columns import DECIDING, DIFFERENCE, METRICS
from pipeline.report.sentences import STAND_INS_SENTENCE, mean_std
from pipeline.report.tables import coloured_verdict, interval
from pipeline.runtime.text.terminal import Console


def print_comparison(report: dict[str, Any], console: Console) -> None:
    """Print the content of a comparison, as `compare` returns it."""
    if report["parameters"]:
        console.print(parameters_table(report))
    console.print(comparison_table(report))
    console.print_lines(comparison_notes(report))


def parameters_table(report: dict[str, Any]) -> Table:
    """Return one line per parameter that is not the same in all runs."""
    table = Table("parameter", *report["revisions"], title="parameters that differ")
    for name, values in report["parameters"].items():
        table.add_row(name, *("-" if value is None else str(value) for value in values))
    return table


def comparison_table(report: dict[str, Any]) -> Table:
    """Return one line per run, for every group and set and every score."""
    seeds = report["seeds"]
    table = Table(title=f"detectors in percent, mean ± std over {len(seeds)} seed{'s' * (len(seeds) > 1)}")
    for name in ("images", "score", "run"):
        table.add_column(name)
    for metric in METRICS:
        table.add_column(metric.title, justify="right")
        table.add_column(DIFFERENCE, justify="right")
    table.add_column(f"by {DECIDING.title}")
    entries = {f"{group} (mean)": entry for group, entry in report["groups"].items()} | report["sets"]
    for images, scores in entries.items():
        table.add_section()
        row_title = images
        for score, run_entries in scores.items():
            for index, (run, entry) in enumerate(zip(report["revisions"], run_entries, strict=True)):
                table.add_row(row_title, "" if index else score, run, *_cells(entry))
                row_title = ""
    return table


def comparison_notes(report: dict[str, Any]) -> str:
    """Return the lines below the table: ID accuracy, what was compared and what was left out."""
    first = report["revisions"][0]
    pairs = zip(report["revisions"], report["id_accuracy"], strict=True)
    accuracy = [f"{run} {mean_std(value)}" for run, value in pairs]
    lines = [
        *([STAND_INS_SENTENCE] if STAND_IN in report["groups"] else []),
        *([] if report["parameters"] else ["No parameter differs."]),
        f"ID accuracy: {', '.join(accuracy)}.",
        f"difference: to {first}, paired over seeds {', '.join(map(str, report['seeds']))} and test images.",
        *(f"left out: {name}, which {reason}." for name, reason in report["left_out"].items()),
    ]
    return "\n".join(lines)


def _cells(entry: dict[str, Any]) -> list[str | Text]:
    differences = entry["difference"]
    cells: list[str | Text] = []
    for metric in METRICS:
        cells += [mean_std(entry[metric.key]), "" if differences is None else interval(differences[metric.key])]
    return [*cells, "" if differences is None else coloured_verdict(differences[DECIDING.key])]
