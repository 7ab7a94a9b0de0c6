"""Which loss helps with which outliers: every combination as one DVC experiment, all with the same outlier budget.

Run `make ablation` (`python -m benchmarks.ablation`) in a clean checkout: it queues the experiments that are not there
yet, runs them, and writes `docs/benchmarks/ablation.md` and `benchmarks/results/ablation.json`. An interrupted run goes
on with the experiments that are missing. Baseline of every line: the same seed's teacher, cross-entropy alone.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import t

from benchmarks.bench import hardware
from pipeline.params.all_params import load_all
from pipeline.params.methods.section import method_params_class
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.files import read_json, write_bytes, write_json
from pipeline.runtime.run_log import git_revision

METRICS = "reports/metrics.json"
RESULTS, PAGE = Path("benchmarks/results/ablation.json"), Path("docs/benchmarks/ablation.md")
BUDGET = 2048
"""Outliers that a detector may see, from one method or in equal parts from several."""
FOUR = ("perturb", "mixup", "shuffle", "label_mixup")
METHODS_OF: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in FOUR},
    "first three": FOUR[:3],
    "all four": FOUR,
    "gaussian (null)": ("gaussian",),
    "copies (null)": ("copies",),
}
"""Synthesis methods of the outliers that a line has."""
OE, INFO_NCE, CLUB, PAPER, KD = (
    "outlier_exposure.weight",
    "micl.info_nce.weight",
    "micl.club.weight",
    "micl.paper.weight",
    "distillation.logits.weight",
)
OTHER_WEIGHTS = ("mixing.weight", "energy_bound.weight", "reconstruction.weight", "distillation.features.weight")
TRAININGS: dict[str, dict[str, float]] = {
    "cross-entropy": {},
    "KD": {KD: 0.5},
    "OE": {OE: 0.5},
    "OE + KD": {OE: 0.5, KD: 0.5},
    "InfoNCE": {INFO_NCE: 0.5},
    "InfoNCE + CLUB": {INFO_NCE: 0.5, CLUB: 0.01},
    "paper term": {PAPER: 0.1},
    "OE + InfoNCE + KD": {OE: 0.5, INFO_NCE: 0.5, KD: 0.5},
    "all": {OE: 0.5, INFO_NCE: 0.5, CLUB: 0.01, KD: 0.5},
}
"""Weights were set by hand before any of these results was seen, that of CLUB so low because more of it costs accuracy
on ID validation; a loss that is not named has none."""


KD_WORDS = (
    "ID accuracy in percent when training with outlier exposure, without and with logit distillation; of the gain "
    "Welch's interval at 95 %, which takes the seeds of the two as independent. The lines share seeds and images: "
    "eight of them are not eight experiments."
)


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    training: str
    outliers: str

    @property
    def name(self) -> str:
        """The experiment's name: no spaces, no signs."""
        words = f"ablation {self.training} {self.outliers}"
        return "-".join("".join(sign if sign.isalnum() else " " for sign in words).split()).lower()

    @property
    def settings(self) -> list[str]:
        """What differs from params.yaml, as `dvc exp run -S` takes it."""
        methods, weights = METHODS_OF[self.outliers], TRAININGS[self.training]
        every = (OE, INFO_NCE, CLUB, PAPER, KD, *OTHER_WEIGHTS)
        return [
            f"synthesize.methods=[{','.join(methods)}]",
            *(f"synthesize.{method}.rows={BUDGET // len(methods)}" for method in methods),
            *(f"train.{name}={weights.get(name, 0.0)}" for name in every),
        ]


def main() -> None:
    """Run what is missing, write what was found and the page that shows it."""
    if changed := call("git", "status", "--porcelain", "--untracked-files=no"):
        sys.exit(f"error: found changes that are not committed, wanted a clean checkout:\n{changed}")
    cells, started = grid(), time.monotonic()
    missing = [cell for cell in cells if cell.name not in call("dvc", "exp", "list", "--name-only").split()]
    if missing:
        run(missing)
    found = results({cell.name for cell in cells})
    if failed := [cell.name for cell in cells if cell.name not in found]:
        sys.exit(f"error: {len(failed)} experiments failed, {failed[0]} first; see `dvc queue status`")
    if missing or not RESULTS.is_file():
        report = {
            "format": "latent-outliers-ablation/1",
            "commit": git_revision(),
            "hardware": hardware(),
            "seconds": round(time.monotonic() - started) if len(missing) == len(cells) else None,
            "seeds": list(load_all(PARAMS_FILE).seeds),
            "budget": BUDGET,
            "cells": [{"training": cell.training, "outliers": cell.outliers, **found[cell.name]} for cell in cells],
        }
        write_json(RESULTS, report)
    write_bytes(PAGE, page(read_json(RESULTS)).encode())


def run(cells: list[Cell]) -> None:
    """Queue the experiments and run them; those of the grid that an earlier run left in the queue are queued again."""
    tasks = [line.split() for line in call("dvc", "queue", "status").splitlines()]
    queued = {task[1] for task in tasks if "Queued" in task}
    if foreign := queued - {cell.name for cell in cells}:
        sys.exit(f"error: the queue has other experiments, {', '.join(foreign)}; run or remove them first")
    if queued:
        call("dvc", "queue", "remove", *queued)
    for cell in cells:
        settings = [part for setting in cell.settings for part in ("--set-param", setting)]
        call("dvc", "exp", "run", "--queue", "--name", cell.name, *settings, "score")
        sys.stderr.write(f"queued {cell.name}\n")
    subprocess.run(["dvc", "exp", "run", "--run-all", "--jobs", "2"], check=True)  # noqa: S607  # the one installed


def grid() -> list[Cell]:
    """Return every cell that makes sense: without outliers no method matters, CLUB wants rows with parents."""
    cells = []
    for training, weights in TRAININGS.items():
        uses_outliers = {OE, INFO_NCE, CLUB, PAPER} & set(weights)
        possible = [name for name, methods in METHODS_OF.items() if CLUB not in weights or have_parents(methods)]
        cells += [Cell(training, name) for name in (possible if uses_outliers else possible[:1])]
    return cells


def have_parents(methods: tuple[str, ...]) -> bool:
    """Return whether rows of any of these methods start from ID latents."""
    return any(method_params_class(PARAMS_FILE, name).has_parents for name in methods)


def results(names: set[str]) -> dict[str, Any]:
    """Return of each finished experiment among `names` its accuracy, and each group's AUROC by every score.

    Read from the report itself: what `dvc exp show` prints of it lacks lists, such as intervals.
    """
    import dvc.api

    found = {}
    for name in sorted(names & set(call("dvc", "exp", "list", "--name-only").split())):
        metrics = json.loads(dvc.api.read(METRICS, rev=name))
        groups = {
            group: {score: _auroc(entry) for score, entry in of.items()} for group, of in metrics["groups"].items()
        }
        found[name] = {"score": metrics["score"], "id_accuracy": metrics["id_accuracy"], "groups": groups}
    return found


def _auroc(entry: dict[str, Any]) -> dict[str, Any]:
    return {side: {"auroc": values["auroc"]} for side, values in entry.items()}


def page(report: dict[str, Any]) -> str:
    """Return the page of results in Markdown."""
    score, seeds = report["cells"][0]["score"], len(report["seeds"])
    took = "in several parts" if report["seconds"] is None else f"{report['seconds'] / 60:.0f} minutes"
    heading = (
        f"Written by `make ablation`; commit {report['commit'][:7]}, {report['hardware']}, {took}. The embedded "
        f"digits, {seeds} seeds, about {report['budget']} outliers for every detector. In percent, mean ± std over "
        f"seeds; score: {score}; baseline: cross-entropy alone. Intervals: paired bootstrap at 95 %."
    )
    care = (
        "Weights and parameters were set by hand before any of these figures was seen, and not changed since; "
        "`docs/log.md` says what to make of them."
    )
    columns = ("training", "outliers", "ID accuracy", "near AUROC", "near gain", "far AUROC", "far gain")
    lines = [_line(cell, score) for cell in report["cells"]]
    table = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines]
    kept = ["## Does distillation keep ID accuracy?", "", KD_WORDS, "", *distillation_table(report)]
    return "\n".join(["# Results of the ablation", "", heading, "", care, "", *table, "", *kept, ""])


def distillation_table(report: dict[str, Any]) -> list[str]:
    """Return ID accuracy with outliers alone and with distillation beside them, by synthesis method."""
    accuracy = {(cell["training"], cell["outliers"]): cell["id_accuracy"]["detector"] for cell in report["cells"]}
    choices = [outliers for training, outliers in accuracy if training == "OE"]
    lines = []
    for outliers in choices:
        without, kept = accuracy["OE", outliers], accuracy["OE + KD", outliers]
        low, high = welch_interval(kept, without, len(report["seeds"]))
        verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
        gain = kept["mean"] - without["mean"]
        told = f"{100 * gain:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
        lines.append(f"| {outliers} | {_spread(without)} | {_spread(kept)} | {told} | {verdict} |")
    return ["| outliers | OE | OE + KD | gain | with KD it is |", "|---|---|---|---|---|", *lines]


def welch_interval(first: dict[str, float], second: dict[str, float], seeds: int) -> tuple[float, float]:
    """Return Welch's 95 % interval of the difference of two means over seeds."""
    variances = [side["std"] ** 2 / seeds for side in (first, second)]
    total = sum(variances)
    if total == 0:
        return first["mean"] - second["mean"], first["mean"] - second["mean"]
    freedom = total**2 / sum(variance**2 / (seeds - 1) for variance in variances)
    reach = t.ppf(0.975, freedom) * total**0.5
    return first["mean"] - second["mean"] - reach, first["mean"] - second["mean"] + reach


def _line(cell: dict[str, Any], score: str) -> str:
    groups = [cell["groups"][group][score] for group in ("near", "far")]
    columns = [_spread(cell["id_accuracy"]["detector"])]
    for group in groups:
        columns += [_spread(group["detector"]["auroc"]), _difference(group["difference"]["auroc"])]
    outliers = cell["outliers"] if {OE, INFO_NCE, CLUB, PAPER} & set(TRAININGS[cell["training"]]) else "none"
    return f"| {cell['training']} | {outliers} | {' | '.join(columns)} |"


def _spread(spread: dict[str, float]) -> str:
    return f"{100 * spread['mean']:.1f} ± {100 * spread['std']:.1f}"


def _difference(gain: dict[str, Any]) -> str:
    low, high = gain["ci95"]
    return f"{100 * gain['mean']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}] {gain['verdict']}"


def call(*arguments: str) -> str:
    """Run a command and return what it prints; its errors are printed and end this one."""
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603  # our own


if __name__ == "__main__":
    main()
