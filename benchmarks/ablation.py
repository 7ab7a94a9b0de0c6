"""Which loss helps with which outliers: every combination as one DVC experiment, all with the same outlier budget.

Run `make ablation` (`python -m benchmarks.ablation`) in a clean checkout: it queues the experiments that are not there
yet, runs them, and writes `docs/results.md` and `benchmarks/results/ablation.json`. An interrupted run goes on with the
experiments that are missing. Baseline of every line: the same seed's teacher, cross-entropy alone.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import hardware
from pipeline.command import PARAMS_FILE
from pipeline.files import write_bytes, write_json
from pipeline.runlog import git_revision
from pipeline.schema import load_all

METRICS = "reports/metrics.json"
RESULTS, PAGE = Path("benchmarks/results/ablation.json"), Path("docs/results.md")
BUDGET = 2048
"""Outliers that a detector may see, from one method or in equal parts from several."""
FOUR = ("perturb", "mixup", "shuffle", "label_mixup")
FAMILIES: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in FOUR},
    "first three": FOUR[:3],
    "all four": FOUR,
    "gaussian (null)": ("gaussian",),
    "copies (null)": ("copies",),
}
OE, INFO_NCE, CLUB, PAPER, KD = (
    "outlier_exposure.weight",
    "micl.info_nce.weight",
    "micl.club.weight",
    "micl.paper.weight",
    "distillation.logits.weight",
)
OTHER_WEIGHTS = ("energy_bound.weight", "distillation.features.weight")
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


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    training: str
    family: str

    @property
    def name(self) -> str:
        """The experiment's name: no spaces, no signs."""
        words = f"ablation {self.training} {self.family}"
        return "-".join("".join(sign if sign.isalnum() else " " for sign in words).split()).lower()

    @property
    def settings(self) -> list[str]:
        """What differs from params.yaml, as `dvc exp run -S` takes it."""
        methods, weights = FAMILIES[self.family], TRAININGS[self.training]
        every = (OE, INFO_NCE, CLUB, PAPER, KD, *OTHER_WEIGHTS)
        return [
            f"synthesize.methods=[{','.join(methods)}]",
            *(f"synthesize.{method}.rows={BUDGET // len(methods)}" for method in methods),
            *(f"train.{name}={weights.get(name, 0.0)}" for name in every),
        ]


def main() -> None:
    """Run what is missing and write the table."""
    started = time.monotonic()
    cells = grid()
    there = set(call("dvc", "exp", "list", "--name-only").split())
    call("dvc", "queue", "remove", "--all")
    for cell in cells:
        if cell.name not in there:
            settings = [part for setting in cell.settings for part in ("--set-param", setting)]
            call("dvc", "exp", "run", "--queue", "--name", cell.name, *settings, "score")
            sys.stderr.write(f"queued {cell.name}\n")
    subprocess.run(["dvc", "exp", "run", "--run-all", "--jobs", "2"], check=True)  # noqa: S607  # the one installed
    found = results({cell.name for cell in cells})
    if missing := [cell.name for cell in cells if cell.name not in found]:
        sys.exit(f"error: {len(missing)} experiments failed, {missing[0]} first; see `dvc queue status`")
    seconds = time.monotonic() - started
    report = {
        "format": "latent-outliers-ablation/1",
        "commit": git_revision(),
        "hardware": hardware(),
        "seconds": round(seconds) if not there else None,
        "seeds": list(load_all(PARAMS_FILE).seeds),
        "budget": BUDGET,
        "cells": [{"training": cell.training, "outliers": cell.family, **found[cell.name]} for cell in cells],
    }
    write_json(RESULTS, report)
    write_bytes(PAGE, page(report).encode())


def grid() -> list[Cell]:
    """Return every cell that makes sense: without outliers the family does not matter, CLUB wants rows with parents."""
    cells = []
    for training, weights in TRAININGS.items():
        uses_outliers = {OE, INFO_NCE, CLUB, PAPER} & set(weights)
        families = [
            family
            for family, methods in FAMILIES.items()
            if CLUB not in weights or not {"label_mixup", "gaussian"}.issuperset(methods)
        ]
        cells += [Cell(training, family) for family in (families if uses_outliers else families[:1])]
    return cells


def results(names: set[str]) -> dict[str, Any]:
    """Return the metrics of the finished experiments among `names`."""
    found = {}
    for base in json.loads(call("dvc", "exp", "show", "--json", "--all-commits")):
        for experiment in base.get("experiments") or []:
            data = experiment["revs"][0].get("data") or {}
            metrics = (data.get("metrics") or {}).get(METRICS, {}).get("data")
            if experiment["name"] in names and metrics:
                found[experiment["name"]] = {key: metrics[key] for key in ("score", "id_accuracy", "groups")}
    return found


def page(report: dict[str, Any]) -> str:
    """Return the page of results in Markdown."""
    score, seeds = report["cells"][0]["score"], len(report["seeds"])
    took = "" if report["seconds"] is None else f", {report['seconds'] / 60:.0f} minutes"
    heading = (
        f"Written by `make ablation`; commit {report['commit']}, {report['hardware']}{took}. The embedded digits, "
        f"{seeds} seeds, {report['budget']} outliers for every detector. In percent, mean ± std over seeds; score: "
        f"{score}; baseline: cross-entropy alone. Intervals: paired bootstrap at 95 %."
    )
    care = (
        "Weights and parameters were set by hand before any of these figures was seen, and not changed since; "
        "`docs/log.md` says what to make of them."
    )
    columns = ("training", "outliers", "ID accuracy", "near AUROC", "near gain", "far AUROC", "far gain")
    lines = [_line(cell, score) for cell in report["cells"]]
    table = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines]
    return "\n".join(["# Results of the ablation", "", heading, "", care, "", *table, ""])


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
