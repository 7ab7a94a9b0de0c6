"""Print what `latent-outliers compare` found: parameters that differ, then every run under the first one."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.page.words import STAND_INS, spread
from pipeline.results import coloured_verdict, interval
from pipeline.stand_in import STAND_IN


def print_comparison(report: dict[str, Any], console: Console) -> None:
    """Print the content of a comparison, as `compare` returns it."""
    if report["parameters"]:
        console.print(parameters_table(report))
    console.print(comparison_table(report))
    console.print(words(report), highlight=False, markup=False)


def parameters_table(report: dict[str, Any]) -> Table:
    """Return one line per parameter that is not the same in all runs."""
    table = Table("parameter", *map(escape, report["revisions"]), title="parameters that differ")
    for name, values in report["parameters"].items():
        table.add_row(escape(name), *("-" if value is None else escape(str(value)) for value in values))
    return table


def comparison_table(report: dict[str, Any]) -> Table:
    """Return one line per run, for every group and set and every score."""
    seeds = report["seeds"]
    table = Table(title=f"detectors in percent, mean ± std over {len(seeds)} seed{'s' * (len(seeds) > 1)}")
    for name in ("images", "score", "run"):
        table.add_column(name)
    for name in ("AUROC", "difference [95 % CI]", "FPR95", "difference [95 % CI]"):
        table.add_column(escape(name), justify="right")
    table.add_column("by AUROC")
    entries = {f"{group} (mean)": entry for group, entry in report["groups"].items()} | report["sets"]
    for images, scores in entries.items():
        table.add_section()
        head = images
        for score, found in scores.items():
            for place, (run, entry) in enumerate(zip(report["revisions"], found, strict=True)):
                table.add_row(head, "" if place else score, escape(run), *_cells(entry))
                head = ""
    return table


def words(report: dict[str, Any]) -> str:
    """Return ID accuracy, what was compared and what was not, in words."""
    first = report["revisions"][0]
    accuracy = [f"{run} {spread(one)}" for run, one in zip(report["revisions"], report["id_accuracy"], strict=True)]
    lines = [
        *([STAND_INS] if STAND_IN in report["groups"] else []),
        *([] if report["parameters"] else ["No parameter differs."]),
        f"ID accuracy: {', '.join(accuracy)}.",
        f"difference: to {first}, paired over seeds {', '.join(map(str, report['seeds']))} and test images.",
        *(f"left out: {name}, which {why}." for name, why in report["left_out"].items()),
    ]
    return "\n".join(lines)


def _cells(entry: dict[str, Any]) -> list[str]:
    apart = entry["difference"]
    differences = ["", ""] if apart is None else [interval(apart[name]) for name in ("auroc", "fpr95_ood_pos")]
    return [
        spread(entry["auroc"]),
        differences[0],
        spread(entry["fpr95_ood_pos"]),
        differences[1],
        "" if apart is None else coloured_verdict(apart["auroc"]),
    ]
