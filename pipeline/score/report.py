"""Build `metrics.json`: means and spreads over seeds, per set and per group, the threshold and the artefact probe."""

from typing import Any

import numpy as np

from pipeline.infer.params import SCORES, ScoreName
from pipeline.infer.table import SIDES, ScoreTable
from pipeline.probe.names import PROBES
from pipeline.score.bootstrap import Gains, Pair, bootstrap, differences
from pipeline.score.decision import Decision, rejected
from pipeline.score.metrics import Metrics, metrics
from pipeline.score.params import METRICS_FORMAT, ScoreParams

Json = dict[str, Any]
Groups = dict[str, list[str]]


def build_report(
    table: ScoreTable,
    groups: Groups,
    decisions: list[Decision],
    params: ScoreParams,
    scores: tuple[ScoreName, ...] = SCORES,
    stand_in: Json | None = None,
) -> Json:
    """Return the content of `metrics.json`.

    groups: the OOD sets of 'near' and of 'far', or what stands in for them. A group's value is the unweighted mean over
    its sets, taken per seed; its spread is that of these means over the seeds. stand_in: what is to be said of
    stand-ins.
    """
    sets = [name for members in groups.values() for name in members]
    known = {score: pair(table, "id_test", score) for score in scores}
    unknown = {name: {score: pair(table, name, score) for score in scores} for name in sets}
    gains = bootstrap(known, unknown, params.bootstrap.replicates, params.bootstrap.seed)
    values = {
        (side, name, score): _per_seed(table, side, name, score) for side in SIDES for name in sets for score in scores
    }

    def entry(members: list[str]) -> Json:
        return {score: _entry(values, gains, members, score) for score in scores}

    report = {
        "format": METRICS_FORMAT,
        "seeds": list(table.seeds),
        "score": params.headline,
        "id_accuracy": {side: spread(table.accuracy(side)) for side in SIDES},
        "groups": {group: entry(members) for group, members in groups.items() if members},
        "sets": {name: entry([name]) for name in sets},
        "sizes": {name: len(table.labels[name]) for name in ["id_validation", "id_test", *sets]},
        "threshold": _threshold(table, sets, decisions),
        "artefacts": _artefacts(table, scores),
    }
    if stand_in is not None:
        report["stand_in"] = stand_in
    return report | {"warnings": [*_cautions(stand_in), *_warnings(report, params)]}


def pair(table: ScoreTable, image_set: str, score: ScoreName) -> Pair:
    """Return the scores of a set by both sides."""
    return Pair(*(table.scores[side, image_set, score] for side in SIDES))


def spread(values: list[float]) -> Json:
    """Return mean and sample standard deviation; one seed has no spread, which is said as null."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def _per_seed(table: ScoreTable, side: str, image_set: str, score: ScoreName) -> list[Metrics]:
    known, unknown = (table.scores[side, name, score] for name in ("id_test", image_set))
    return [metrics(*rows) for rows in zip(known, unknown, strict=True)]


def _entry(
    values: dict[tuple[str, str, ScoreName], list[Metrics]],
    gains: dict[tuple[str, ScoreName], Gains],
    members: list[str],
    score: ScoreName,
) -> Json:
    """Return the values of a group of sets (or of one set) by one score."""
    found: Json = {}
    for side in SIDES:
        means = np.mean([values[side, name, score] for name in members], axis=0)  # (seeds, metrics)
        found[side] = {name: spread(means[:, index].tolist()) for index, name in enumerate(Metrics._fields)}
    apart = differences([gains[name, score] for name in members])
    found["difference"] = {
        name: {"mean": gain.mean, "ci95": [gain.low, gain.high], "verdict": gain.verdict}
        for name, gain in apart.items()
    }
    return found


def _threshold(table: ScoreTable, sets: list[str], decisions: list[Decision]) -> Json:
    """Return what the thresholds fitted on ID validation do there and on other images; means over seeds."""
    return {
        "score": decisions[0].score,
        "values": {str(decision.seed): decision.threshold for decision in decisions},
        "id_rejection_target": decisions[0].id_rejection_target,
        "id_rejection_validation": rejected(table, decisions, "id_validation"),
        "id_rejection_test": rejected(table, decisions, "id_test"),
        "ood_detected": {name: rejected(table, decisions, name) for name in sets},
    }


def _artefacts(table: ScoreTable, scores: tuple[ScoreName, ...]) -> Json:
    """Return how well ID test images that went through autoencoder or JPEG are told from themselves: 0.5 is good."""
    return {
        probe: {
            score: {
                side: {"auroc": spread([one.auroc for one in _per_seed(table, side, f"probe/{probe}", score)])}
                for side in SIDES
            }
            for score in scores
        }
        for probe in PROBES
        if f"probe/{probe}" in table.labels
    }


def _cautions(stand_in: Json | None) -> list[str]:
    if stand_in is None:
        return []
    return [stand_in["caution"], *(f"{name} was left out: {why}" for name, why in stand_in["left_out"].items())]


def _warnings(report: Json, params: ScoreParams) -> list[str]:
    return [
        f"{side}: ID test images that were {PROBES[probe]} score as outliers (AUROC {auroc:.2f} against the same "
        f"images as they were, above {params.artefact_auroc}): it may tell files apart, not what they show."
        for probe, entry in report["artefacts"].items()
        for side in SIDES
        if (auroc := entry[params.headline][side]["auroc"]["mean"]) > params.artefact_auroc
    ]
