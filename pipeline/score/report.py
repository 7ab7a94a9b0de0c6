"""Build `metrics.json`: means and spreads over seeds, per set and per group, and the detector's threshold."""

from typing import Any, get_args

import numpy as np

from pipeline.progress import progress
from pipeline.score.bootstrap import auroc_difference
from pipeline.score.evaluate import SIDES, Evaluation
from pipeline.score.metrics import Metrics, metrics
from pipeline.score.params import METRICS_FORMAT, ScoreName, ScoreParams

SCORES = get_args(ScoreName)
Json = dict[str, Any]


def build_report(found: Evaluation, seeds: tuple[int, ...], groups: dict[str, list[str]], params: ScoreParams) -> Json:
    """Return the content of `metrics.json`.

    groups: the OOD sets of 'near' and of 'far'. A group's value is the unweighted mean over its sets, taken per seed;
    its spread is that of these means over the seeds.
    """
    sets = [name for members in groups.values() for name in members]
    wanted = [tuple(members) for members in groups.values() if members] + [(name,) for name in sets]
    entries: dict[tuple[str, ...], Json] = {}
    with progress("comparing with the baseline", len(set(wanted))) as advance:
        for members in dict.fromkeys(wanted):
            entries[members] = _entry(found, members, params)
            advance(1)
    return {
        "format": METRICS_FORMAT,
        "seeds": list(seeds),
        "score": params.headline,
        "id_accuracy": {side: _spread(found.accuracy[side]) for side in SIDES},
        "groups": {group: entries[tuple(members)] for group, members in groups.items() if members},
        "sets": {name: entries[name,] for name in sets},
        "sizes": {name: found.of("detector", name, params.headline).shape[1] for name in ["id_test", *sets]},
        "threshold": _threshold(found, sets, params),
    }


def _entry(found: Evaluation, members: tuple[str, ...], params: ScoreParams) -> Json:
    """Return the values of a group of sets (or of one set) for every score."""
    entry: Json = {}
    for score in SCORES:
        sides = {side: _over_seeds(found, side, members, score) for side in SIDES}
        unknown = [found.pair(name, score) for name in members]
        known = found.pair("id_test", score)
        gain = auroc_difference(known, unknown, params.bootstrap.replicates, params.bootstrap.seed)
        auroc = {"mean": gain.mean, "ci95": [gain.low, gain.high], "verdict": gain.verdict}
        entry[score] = {**sides, "difference": {"auroc": auroc}}
    return entry


def _over_seeds(found: Evaluation, side: str, members: tuple[str, ...], score: str) -> Json:
    known = found.of(side, "id_test", score)
    per_set = [
        [metrics(known[index], unknown) for index, unknown in enumerate(found.of(side, name, score))]
        for name in members
    ]
    per_seed = np.asarray(per_set).mean(0)  # (seeds, metrics)
    return {name: _spread(per_seed[:, index].tolist()) for index, name in enumerate(Metrics._fields)}


def _threshold(found: Evaluation, sets: list[str], params: ScoreParams) -> Json:
    """Return what the threshold fitted on ID validation does on data it was not fitted on; means over seeds."""
    validation = found.of("detector", "id_validation", params.headline)
    thresholds = np.quantile(validation, 1 - params.id_rejection, axis=1, method="higher")

    def rejected(name: str) -> float:
        return float((found.of("detector", name, params.headline) > thresholds[:, None]).mean())

    return {
        "id_rejection_target": params.id_rejection,
        "id_rejection_test": rejected("id_test"),
        "ood_detected": {name: rejected(name) for name in sets},
    }


def _spread(values: list[float]) -> Json:
    """Return mean and sample standard deviation; one seed has no spread, which is said as null."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}
