"""Build `metrics.json`: mean and deviation over seeds per set and group, threshold, artefact probe; and its summary."""

from typing import Any

import numpy as np

from pipeline.params.infer import ScoreName
from pipeline.params.probe import PROBES
from pipeline.params.score import METRICS_FORMAT, BootstrapParams, ScoreParams
from pipeline.posthoc.bootstrap import Gains, Pair, bootstrap, differences
from pipeline.posthoc.decision import Decision, rejected
from pipeline.posthoc.metrics import Metrics, metrics
from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.report.classes import class_figures
from pipeline.report.other_thresholds import other_thresholds
from pipeline.report.plain_words import counts, plain_sentences

Json = dict[str, Any]
Groups = dict[str, list[str]]


def build_report(
    table: ScoreTable,
    groups: Groups,
    decisions: list[Decision],
    params: ScoreParams,
    scores: tuple[ScoreName, ...] | None = None,
    stand_in: Json | None = None,
) -> Json:
    """Return the content of `metrics.json`.

    groups: the OOD sets of 'near' and of 'far', or the stand-ins. The value of a group is the unweighted mean over its
    sets, taken per seed; its standard deviation is that of these means over the seeds. scores: by default all scores
    of the table. stand_in: the section of `metrics.json` about stand-ins, if there are any.
    """
    scores = table.score_names if scores is None else scores
    sets = [name for members in groups.values() for name in members]
    report = {
        "format": METRICS_FORMAT,
        "seeds": list(table.seeds),
        "score": params.headline,
        "id_accuracy": {side: mean_and_std(table.accuracy(side)) for side in SIDES},
        **comparisons(table, groups, scores, params.bootstrap),
        "sizes": {name: len(table.labels[name]) for name in ["id_validation", "id_test", *sets]},
        "threshold": _threshold(table, sets, decisions),
        "artefacts": _artefacts(table, scores),
    }
    if stand_in is not None:
        report["stand_in"] = stand_in
    report["counts"] = counts(table, sets, decisions)
    report["classes"] = class_figures(table, decisions)
    report["thresholds"] = other_thresholds(table, params.headline, sets, params.id_rejection)
    report["plain_words"] = plain_sentences(report)
    return report | {"warnings": [*_stand_in_warnings(stand_in), *_warnings(report, params)]}


def comparisons(
    table: ScoreTable, groups: Groups, scores: tuple[ScoreName, ...], params: BootstrapParams
) -> dict[str, Json]:
    """Return the `groups` and `sets` of `metrics.json`: both sides and their difference, by score."""
    sets = [name for members in groups.values() for name in members]
    id_pairs = {score: pair(table, "id_test", score) for score in scores}
    ood_pairs = {name: {score: pair(table, name, score) for score in scores} for name in sets}
    gains = bootstrap(id_pairs, ood_pairs, params.replicates, params.seed)
    values = {
        (side, name, score): _per_seed(table, side, name, score) for side in SIDES for name in sets for score in scores
    }

    def entry(members: list[str]) -> Json:
        return {score: _entry(values, gains, members, score) for score in scores}

    return {
        "groups": {group: entry(members) for group, members in groups.items() if members},
        "sets": {name: entry([name]) for name in sets},
    }


def pair(table: ScoreTable, image_set: str, score: ScoreName) -> Pair:
    """Return the scores of a set by the baseline and by the detector."""
    return Pair(*(table.scores[side, image_set, score] for side in SIDES))


def mean_and_std(values: list[float]) -> Json:
    """Return mean and sample standard deviation over the seeds; with one seed the latter is None, null in JSON."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def _per_seed(table: ScoreTable, side: str, image_set: str, score: ScoreName) -> list[Metrics]:
    id_scores, ood_scores = (table.scores[side, name, score] for name in ("id_test", image_set))
    return [metrics(*seed_scores) for seed_scores in zip(id_scores, ood_scores, strict=True)]


def _entry(
    values: dict[tuple[str, str, ScoreName], list[Metrics]],
    gains: dict[tuple[str, ScoreName], Gains],
    members: list[str],
    score: ScoreName,
) -> Json:
    """Return the values of a group of sets (or of one set) by one score."""
    entry: Json = {}
    for side in SIDES:
        means = np.mean([values[side, name, score] for name in members], axis=0)  # (seeds, metrics)
        entry[side] = {name: mean_and_std(means[:, index].tolist()) for index, name in enumerate(Metrics._fields)}
    group_gains = differences([gains[name, score] for name in members])
    entry["difference"] = {
        name: {
            "mean": gain.mean,
            "ci95": [gain.low, gain.high],
            "ci95_from_seeds": gain.from_seeds,
            "verdict": gain.verdict,
        }
        for name, gain in group_gains.items()
    }
    return entry


def _threshold(table: ScoreTable, sets: list[str], decisions: list[Decision]) -> Json:
    """Return which shares of each image set the thresholds flag; they are fitted on ID validation. Means over seeds."""
    return {
        "score": decisions[0].score,
        "values": {str(decision.seed): decision.threshold for decision in decisions},
        "id_rejection_target": decisions[0].id_rejection_target,
        "id_rejection_validation": rejected(table, decisions, "id_validation"),
        "id_rejection_test": rejected(table, decisions, "id_test"),
        "ood_detected": {name: rejected(table, decisions, name) for name in sets},
    }


def _artefacts(table: ScoreTable, scores: tuple[ScoreName, ...]) -> Json:
    """Return the AUROC between ID test images and the same images after a probe; 0.5 is good."""
    return {
        probe: {
            score: {
                side: {"auroc": mean_and_std([seed.auroc for seed in _per_seed(table, side, f"probe/{probe}", score)])}
                for side in SIDES
            }
            for score in scores
        }
        for probe in PROBES
        if f"probe/{probe}" in table.labels
    }


def _stand_in_warnings(stand_in: Json | None) -> list[str]:
    if stand_in is None:
        return []
    return [stand_in["caution"], *(f"{name} was left out: {reason}" for name, reason in stand_in["left_out"].items())]


def _warnings(report: Json, params: ScoreParams) -> list[str]:
    return [
        f"{side}: ID test images that were {PROBES[probe]} score as outliers (AUROC {auroc:.2f} against the same "
        f"images as they were, above {params.artefact_auroc}): it may tell files apart, not what they show."
        for probe, entry in report["artefacts"].items()
        for side in SIDES
        if (auroc := entry[params.headline][side]["auroc"]["mean"]) > params.artefact_auroc
    ]


def summary(report: dict[str, Any]) -> dict[str, float]:
    """Return the few numbers of `summary.json`, which `dvc metrics diff` and `dvc exp show` show to compare runs.

    They are the headline score's results of `metrics.json`, as shares of 1 and without nesting.

    For each group: the AUROC and FPR95 of the detector, and `gain`, its AUROC minus that of the baseline. FPR95 is the
    share of ID flagged when 95 % of OOD is caught. For the ID test images: the accuracy of the detector, and
    `id_accuracy_change`, the same minus that of the baseline.
    """
    numbers: dict[str, float] = {}
    for group, entry in report["groups"].items():
        values = entry[report["score"]]
        numbers[f"{group}_auroc"] = values["detector"]["auroc"]["mean"]
        numbers[f"{group}_gain"] = values["difference"]["auroc"]["mean"]
        numbers[f"{group}_fpr95"] = values["detector"]["fpr95_ood_pos"]["mean"]
    baseline, detector = (report["id_accuracy"][side]["mean"] for side in ("baseline", "detector"))
    return numbers | {"id_accuracy": detector, "id_accuracy_change": detector - baseline}
