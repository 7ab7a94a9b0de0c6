"""Test two claims of arXiv 2405.00631: other heads beat soft-max, and every head gains from synthetic outliers.

Run `python -m benchmarks.heads NAME` in a project that `dvc repro` has run with all of `METHODS`. Every head of
`HEADS` is trained with every seed of params.yaml: alone, with label-mixup outliers, as in the paper, and with those of
the other three methods; cross-entropy and, on outliers, outlier exposure, nothing else. Finished trainings are kept.
Writes `benchmarks/results/heads-NAME.json` and, with what is there of other data, `docs/benchmarks/heads.md`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from benchmarks.bench import hardware
from pipeline.latents.latents import Latents, load_id_train, load_latents
from pipeline.params.all_params import AllParams, load_all
from pipeline.params.infer import ScoreName
from pipeline.params.train import TrainParams
from pipeline.posthoc.decision import decide
from pipeline.posthoc.scoring import score_table
from pipeline.report.metrics_json import build_report
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import read_json, write_bytes, write_json
from pipeline.runtime.launch import Launch
from pipeline.runtime.progress import progress
from pipeline.runtime.run_log import git_revision
from pipeline.runtime.units import run_units
from pipeline.runtime.workspace import fingerprint
from pipeline.training.detector import DetectorUnit, train_detector

LATENTS, OUTLIERS, MODELS = Path("data/latents"), Path("data/outliers"), Path("models")
RESULTS, WORK, PAGE = Path("benchmarks/results"), Path(".work/heads"), Path("docs/benchmarks/heads.md")
METHODS = ("perturb", "mixup", "shuffle", "label_mixup")
HEADS: dict[str, dict[str, Any]] = {
    "soft-max": {"kind": "linear"},
    "LogitNorm": {"kind": "logit_norm", "temperature": 0.1},
    "SphereFace": {"kind": "sphereface", "margin": 2.0},
    "CosFace": {"kind": "cosface", "scale": 16.0, "margin": 0.2},
    "ArcFace": {"kind": "arcface", "scale": 16.0, "margin": 0.2},
    "AdaCos": {"kind": "adacos"},
}
"""Scales and margins below the papers', whose networks and data are larger; set once, by hand."""
OUTLIERS_OF: dict[str, tuple[str, ...]] = {"none": (), "label_mixup": ("label_mixup",), "three": METHODS[:3]}
EXPOSURE = 0.5
SCORES: tuple[ScoreName, ...] = ("msp", "knn")
TITLES = {"digits": "Digits", "fashion_mnist": "Fashion-MNIST"}
WORDS = """AUROC in percent, mean ± std over seeds, by MSP and k-NN score. Behind it the gain, with its paired bootstrap
interval and verdict: without outliers over soft-max without outliers, with outliers over the same head without.
Outliers: `label_mixup`, as in the paper, or `perturb`, `mixup` and `shuffle` together (three), by outlier exposure."""


@dataclass(frozen=True)
class Variant:
    """One head, trained with one choice of outliers."""

    head: str
    outliers: str

    def folder(self, params: AllParams) -> Path:
        """Return where its detectors are, one per seed: another place for other parameters, inputs or code."""
        facts = {"head": HEADS[self.head], "exposure": EXPOSURE, "train": params.train.model_dump(mode="json")}
        stores = [OUTLIERS / method for method in OUTLIERS_OF[self.outliers]]
        return WORK / f"{self.head}-{self.outliers}-{fingerprint(facts, [LATENTS / 'id_train', *stores])[:8]}"


def main(name: str) -> None:
    """Train every variant with every seed, compare them and write the page; NAME is that of the data."""
    params = load_all(PARAMS_FILE)
    if missing := [method for method in METHODS if not (OUTLIERS / method).is_dir()]:
        raise PipelineError(f"{OUTLIERS}: no {', '.join(missing)}; add to synthesize.methods and run `dvc repro`.")
    variants = [Variant(head, outliers) for head in HEADS for outliers in OUTLIERS_OF]
    folders = {variant: variant.folder(params) for variant in variants}  # once: scoring loads code that would count too
    units = [unit(variant, seed, params, folder) for variant, folder in folders.items() for seed in params.seeds]
    run_units(train_detector, units, launch=Launch(), title="training detectors")
    found = compared(params, folders)
    report = {
        "format": "latent-outliers-heads/1",
        "data": name,
        "commit": git_revision(),
        "hardware": hardware(),
        "seeds": list(params.seeds),
        "epochs": params.train.optimiser.epochs,
        "heads": HEADS,
        "variants": found,
    }
    write_json(RESULTS / f"heads-{name}.json", report)
    write_bytes(PAGE, page([read_json(path) for path in sorted(RESULTS.glob("heads-*.json"))]).encode())
    typer.echo(f"written: {PAGE}")


def unit(variant: Variant, seed: int, params: AllParams, folder: Path) -> DetectorUnit:
    """Return one training; what is not named here is as in params.yaml."""
    content = params.train.model_dump()
    content["head"] = HEADS[variant.head]
    for loss in (
        content["mixing"],
        content["energy_bound"],
        content["reconstruction"],
        *content["micl"].values(),
        *content["distillation"].values(),
    ):
        loss["weight"] = 0.0
    content["outlier_exposure"]["weight"] = EXPOSURE if OUTLIERS_OF[variant.outliers] else 0.0
    return DetectorUnit(
        seed=seed,
        params=TrainParams.model_validate(content),
        latents=LATENTS / "id_train",
        views=None,
        validation=None,
        outliers=tuple(OUTLIERS / method for method in OUTLIERS_OF[variant.outliers] or METHODS[:1]),
        teacher=MODELS / "teacher" / str(seed),
        pretrained_teacher=MODELS / "pretrained_teacher",
        output=folder / str(seed),
        curve=folder / f"{seed}.csv",
    )


def compared(params: AllParams, folders: dict[Variant, Path]) -> list[dict[str, Any]]:
    """Return each variant beside what its claim is about: without outliers the soft-max, with them itself without."""
    id_train = load_id_train(LATENTS / "id_train")
    ood = params.data.ood_sets()
    groups = {group: [name for name in ood if ood[name] == group] for group in ("near", "far")}
    sets = {name: load_latents(LATENTS / name, id_train.header) for name in ("id_validation", "id_test", *ood)}
    entries = []
    with progress("comparing", len(folders)) as advance:
        for variant, folder in folders.items():
            against = Variant(variant.head, "none") if OUTLIERS_OF[variant.outliers] else Variant("soft-max", "none")
            words = {"head": variant.head, "outliers": variant.outliers, "against": against.head}
            sides = {"baseline": folders[against], "detector": folder}
            entries.append(words | difference(params, sides, id_train, sets, groups))
            advance(1)
    return entries


def difference(
    params: AllParams,
    sides: dict[str, Path],
    id_train: Latents,
    sets: dict[str, Latents],
    groups: dict[str, list[str]],
) -> dict[str, Any]:
    """Return the accuracy and the groups of a variant's report; sides: where its networks and its baseline's are."""
    table = score_table(params.seeds, sides, id_train, sets, params.infer, lambda _: None)
    decisions = decide(table, params.score.headline, params.score.id_rejection)
    report = build_report(table, groups, decisions, params.score, SCORES)
    return {"id_accuracy": report["id_accuracy"]["detector"], "groups": report["groups"]}


def page(reports: list[dict[str, Any]]) -> str:
    """Return the page of results in Markdown, one table per data set."""
    lines = ["# Heads, with and without synthetic outliers", "", "Written by `python -m benchmarks.heads`.", "", WORDS]
    aurocs = [f"{group} {score}" for group in ("near", "far") for score in SCORES]
    columns = ["head", "outliers", "ID accuracy", *aurocs]
    for report in reports:
        lines += [
            "",
            f"## {TITLES.get(report['data'], report['data'])}",
            "",
            f"Commit {report['commit'][:7]}, {report['hardware']}.",
            f"{len(report['seeds'])} seeds, {report['epochs']} epochs.",
            "",
            f"| {' | '.join(columns)} |",
            "|---" * len(columns) + "|",
            *(f"| {' | '.join(_cells(variant))} |" for variant in report["variants"]),
        ]
    return "\n".join([*lines, ""])


def _cells(variant: dict[str, Any]) -> list[str]:
    accuracy = variant["id_accuracy"]
    cells = [variant["head"], variant["outliers"], f"{100 * accuracy['mean']:.1f} ± {100 * accuracy['std']:.1f}"]
    for group in ("near", "far"):
        for score in SCORES:
            entry = variant["groups"][group][score]
            auroc, gain = entry["detector"]["auroc"], entry["difference"]["auroc"]
            low, high = gain["ci95"]
            reached = f"{100 * auroc['mean']:.1f} ± {100 * auroc['std']:.1f}"
            told = f"{100 * gain['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}) {gain['verdict']}"
            alone = (variant["head"], variant["outliers"]) == ("soft-max", "none")
            cells.append(reached if alone else f"{reached}; {told}")
    return cells


if __name__ == "__main__":
    typer.run(main)
