"""Print the reports of the stages as the tables that end `make repro`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.errors import PipelineError
from pipeline.page.words import GROUPS, score_name, set_title, spread, verdict
from pipeline.quality.params import QUALITY_FORMAT
from pipeline.reports import read_report
from pipeline.score.params import METRICS_FORMAT
from pipeline.stand_in import STAND_IN

QUALITY_WORDS = """pass for ID: given to one class with more than `quality.confidence`, and within its radius.
own-class distance: median k-NN distance to the row's own class in that class's radii, so that 1 is the boundary.
nearest ID, diversity: distance to the nearest ID training row, of two rows; 1 is as among ID rows."""
VERDICT_STYLE = {"better": "green", "worse": "red", "undecided": "yellow"}


def print_results(metrics_file: Path, console: Console, *, all_scores: bool = False) -> None:
    """Print the verdict, the result table and the sentences below it; raises PipelineError when there is no such file.

    The table is of the headline score; with `all_scores` it has the others too.
    """
    report = read_report(metrics_file, METRICS_FORMAT, "score")
    with _whole(metrics_file, "score"):
        sentence, table, words = verdict(report), results_table(report, all_scores=all_scores), conclusion(report)
    console.print(f"\n{sentence}\n", highlight=False, markup=False)
    if report["sets"]:
        console.print(table)
    console.print(words, highlight=False)


def print_quality(quality_file: Path, console: Console) -> None:
    """Print what the outliers of each method are like; raises PipelineError when there is no such file."""
    report = read_report(quality_file, QUALITY_FORMAT, "quality")
    with _whole(quality_file, "quality"):
        table = quality_table(report)
    console.print(table)
    console.print(QUALITY_WORDS, highlight=False)


@contextmanager
def _whole(path: Path, stage: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise PipelineError(f"{path}: it lacks {error}; run `dvc repro --force {stage}`.") from error


def quality_table(report: dict[str, Any]) -> Table:
    """Return one line per method, under that of ID images which no teacher has seen."""
    table = Table(title="outliers before any training")
    table.add_column("rows from")
    for name in ("pass for ID", "teacher is sure", "entropy", "beyond every class", "own-class distance", "nearest ID"):
        table.add_column(name, justify="right")
    table.add_column("diversity", justify="right")
    for name, found in {"ID validation": report["id_validation"], **report["methods"]}.items():
        own = found["own_class_distance"]
        table.add_row(
            name,
            *(f"{spread(found[key])} %" for key in ("passes_for_id", "confident", "entropy")),
            f"{100 * found['beyond_all']:.1f} %",
            "-" if own is None else f"{own:.2f}",
            f"{found['nearest_id']:.2f}",
            "-" if found["diversity"] is None else f"{found['diversity']:.2f}",
            end_section=name == "ID validation",
        )
    return table


def results_table(report: dict[str, Any], *, all_scores: bool) -> Table:
    """Return one line per group, then one per OOD set, of the headline score, or one for each score."""
    seeds, headline = len(report["seeds"]), report["score"]
    what = "stand-ins for OOD images, no real ones: detection" if STAND_IN in report["groups"] else "OOD detection"
    by = "each score" if all_scores else f"the {score_name(headline)} score"
    table = Table(title=f"{what} by {by}, in percent, mean ± std over {seeds} seed{'s' * (seeds > 1)}")
    for name in ("images", "score") if all_scores else ("images",):
        table.add_column(name)
    for name in ("AUROC baseline", "AUROC detector", "difference [95 % CI]", "FPR95 baseline", "FPR95 detector"):
        table.add_column(name, justify="right")
    table.add_column("detector is")
    groups = {f"{name} (mean)": report["groups"][name] for name in GROUPS if name in report["groups"]}
    for part in (groups, {set_title(report, name): entry for name, entry in report["sets"].items()}):
        for name, entry in part.items():
            for score in sorted(entry, key=lambda name: (name != headline, name)) if all_scores else [headline]:
                which = [name if score == headline else "", score] if all_scores else [name]
                table.add_row(*which, *_cells(entry[score]))
            if all_scores:
                table.add_section()
        table.add_section()
    return table


def conclusion(report: dict[str, Any]) -> str:
    """Return accuracy, threshold and warnings in words."""
    accuracy, threshold = report["id_accuracy"], report["threshold"]
    shares = ", ".join(f"{100 * share:.1f} % of {name}" for name, share in threshold["ood_detected"].items())
    detected = f" and detects {shares}" if shares else "; no OOD images were scored"
    return (
        f"ID accuracy: baseline {spread(accuracy['baseline'])}, detector {spread(accuracy['detector'])}.\n"
        f"Threshold for {100 * threshold['id_rejection_target']:.0f} % rejected ID validation images: it rejects "
        f"{100 * threshold['id_rejection_test']:.1f} % of ID test{detected}.\n"
        f"baseline: cross-entropy only, with the same score. FPR95: share of ID flagged when 95 % of OOD is caught."
        + "".join(f"\nWarning: {warning}" for warning in report["warnings"])
    )


def _cells(values: dict[str, Any]) -> list[str]:
    gain = values["difference"]["auroc"]
    return [
        *(spread(values[side]["auroc"]) for side in ("baseline", "detector")),
        interval(gain),
        *(spread(values[side]["fpr95_ood_pos"]) for side in ("baseline", "detector")),
        coloured_verdict(gain),
    ]


def interval(gain: dict[str, Any]) -> str:
    """Return a difference and its interval in points of a percentage."""
    low, high = gain["ci95"]
    return f"{100 * gain['mean']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]".replace("[", r"\[")


def coloured_verdict(gain: dict[str, Any]) -> str:
    """Return the verdict on a difference in its colour."""
    style = VERDICT_STYLE[gain["verdict"]]
    return f"[{style}]{gain['verdict']}[/{style}]"
