"""Print `metrics.json` as the table that ends `make repro`."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.errors import PipelineError
from pipeline.score.params import METRICS_FORMAT

VERDICT_STYLE = {"better": "green", "worse": "red", "undecided": "yellow"}


def print_results(metrics_file: Path, console: Console) -> None:
    """Print the result table and the sentence below it; raises PipelineError when there is no such file."""
    report = read_report(metrics_file)
    try:
        table, words = results_table(report), conclusion(report)
    except (KeyError, TypeError, AttributeError) as error:
        raise PipelineError(f"{metrics_file}: it lacks {error}; run `dvc repro --force score`.") from error
    console.print(table)
    console.print(words, highlight=False)


def read_report(metrics_file: Path) -> dict[str, Any]:
    """Return the content of a metrics file."""
    try:
        report: dict[str, Any] = json.loads(metrics_file.read_bytes())
        found = report.get("format")
    except FileNotFoundError as error:
        raise PipelineError(f"{metrics_file}: not found; run `dvc repro` or `make repro` to make it.") from error
    except (ValueError, AttributeError) as error:
        raise PipelineError(f"{metrics_file}: found no metrics in it ({error}); run `dvc repro score`.") from error
    if found != METRICS_FORMAT:
        raise PipelineError(
            f"{metrics_file}: its format is {found!r}, wanted {METRICS_FORMAT!r}; run `dvc repro score`."
        )
    return report


def results_table(report: dict[str, Any]) -> Table:
    """Return one line per group and score, then one per OOD set with the headline score."""
    seeds, headline = len(report["seeds"]), report["score"]
    table = Table(title=f"OOD detection in percent, mean ± std over {seeds} seed{'s' * (seeds > 1)}")
    for name in ("images", "score"):
        table.add_column(name)
    for name in ("AUROC baseline", "AUROC detector", "difference [95 % CI]", "FPR95 baseline", "FPR95 detector"):
        table.add_column(name, justify="right")
    table.add_column("detector is")
    for group in [name for name in ("near", "far") if name in report["groups"]]:
        entry = report["groups"][group]
        for score in sorted(entry, key=lambda name: (name != headline, name)):
            table.add_row(f"{group} (mean)" if score == headline else "", score, *_cells(entry[score]))
        table.add_section()
    for name, entry in report["sets"].items():
        table.add_row(name, headline, *_cells(entry[headline]))
    return table


def conclusion(report: dict[str, Any]) -> str:
    """Return accuracy and threshold in words."""
    accuracy, threshold = report["id_accuracy"], report["threshold"]
    detected = ", ".join(f"{100 * share:.1f} % of {name}" for name, share in threshold["ood_detected"].items())
    return (
        f"ID accuracy: baseline {_percent(accuracy['baseline'])}, detector {_percent(accuracy['detector'])}.\n"
        f"Threshold for {100 * threshold['id_rejection_target']:.0f} % rejected ID validation images: it rejects "
        f"{100 * threshold['id_rejection_test']:.1f} % of ID test and detects {detected}.\n"
        f"baseline: cross-entropy only, with the same score. FPR95: share of ID flagged when 95 % of OOD is caught."
    )


def _cells(values: dict[str, Any]) -> list[str]:
    gain = values["difference"]["auroc"]
    low, high = gain["ci95"]
    style = VERDICT_STYLE[gain["verdict"]]
    return [
        *(_percent(values[side]["auroc"]) for side in ("baseline", "detector")),
        f"{100 * gain['mean']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]".replace("[", r"\["),
        *(_percent(values[side]["fpr95_ood_pos"]) for side in ("baseline", "detector")),
        f"[{style}]{gain['verdict']}[/{style}]",
    ]


def _percent(spread: dict[str, float | None]) -> str:
    mean, std = spread["mean"], spread["std"]
    assert mean is not None
    return f"{100 * mean:.1f}" if std is None else f"{100 * mean:.1f} ± {100 * std:.1f}"
