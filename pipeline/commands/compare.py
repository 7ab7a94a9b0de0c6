"""Compare the detectors of several revisions on the same images, seeds and bootstrap draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.outliers.stand_ins.names import STAND_IN, stands_in
from pipeline.params.score import BootstrapParams
from pipeline.posthoc.bootstrap import Gains, Pair, bootstrap, differences
from pipeline.posthoc.metrics import Metrics, metrics
from pipeline.posthoc.table import ScoreTable
from pipeline.posthoc.table_file import TABLE, read_stream
from pipeline.report.columns import METRICS
from pipeline.report.metrics_json import Groups, Json, mean_and_std
from pipeline.runtime.errors import ComparisonError, MissingInputError, ParamsError, PipelineError
from pipeline.schema.reader import parse_yaml, validate
from pipeline.schema.spelling import nearest_name
from pipeline.sharing.revision import read_file

COMPARISON_FORMAT = "latent-outliers-comparison/1"
WORKSPACE = "workspace"
"""The name of the working tree, as in DVC; any other name is a commit, branch, tag or experiment."""
PARAMS, SCORE_TABLE = Path("params.yaml"), Path("data/scores") / TABLE
SIDE = "detector"


@dataclass(frozen=True)
class Run:
    """The parameters and scores of a run in one revision."""

    name: str
    params: dict[str, Any]
    table: ScoreTable


@dataclass(frozen=True)
class Criteria:
    """The criteria of the first run, by which all runs are compared."""

    groups: Groups
    headline: str
    bootstrap: BootstrapParams


def load_run(revision: str) -> Run:
    """Read the parameters and scores of a revision from the cache or remote of DVC, without a checkout."""
    params = parse_yaml(f"{PARAMS} at {revision}", _read(PARAMS, revision))
    stream = BytesIO(_read(SCORE_TABLE, revision))
    return Run(revision, params, read_stream(stream, f"{SCORE_TABLE} at {revision}"))


def compare(runs: Sequence[Run], requested: Sequence[str] = ()) -> Json:
    """Return the runs side by side, with the difference of every other run from the first.

    requested: names of scores; empty means the headline score of the first run. The parameters of the first run say
    which sets are near and far; where they name none, the stand-ins are compared.
    Only image sets with the same images and labels in every run are compared, over the seeds that every run has. A
    difference is that of the detectors, paired over images and seeds. Raises ComparisonError when no images or seeds
    are in common, or when a run lacks a requested score.
    """
    criteria = _criteria(runs[0])
    scores = _scores(runs, requested or [criteria.headline])
    seeds, left_out = _common_seeds(runs), _left_out(runs)
    groups = {group: [name for name in sets if name not in left_out] for group, sets in criteria.groups.items()}
    sets = [name for members in groups.values() for name in members]
    if "id_test" in left_out or not sets:
        found = "; ".join(f"{name} {reason}" for name, reason in left_out.items()) or "no OOD set"
        advice = "Compare runs on the same data, with at least one OOD set."
        raise ComparisonError(", ".join(run.name for run in runs), found, "id_test and one OOD set in common", advice)
    detectors = [_RunDetectors(run, seeds, sets, scores) for run in runs]
    gains = [detectors[0].gains_of(other, criteria.bootstrap) for other in detectors[1:]]

    def entry(members: list[str]) -> Json:
        return {score: _entry(detectors, gains, members, score) for score in scores}

    return {
        "format": COMPARISON_FORMAT,
        "revisions": [run.name for run in runs],
        "parameters": changed_parameters(runs),
        "seeds": list(seeds),
        "left_out": left_out,
        "id_accuracy": [mean_and_std(detector.accuracy) for detector in detectors],
        "groups": {group: entry(members) for group, members in groups.items() if members},
        "sets": {name: entry([name]) for name in sets},
    }


def changed_parameters(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return every parameter that is not the same in all runs, with its value in each; None where a run lacks it."""
    flat_params = [_flat(run.params) for run in runs]
    names = dict.fromkeys(name for params in flat_params for name in params)
    values_by_name = {name: [params.get(name) for params in flat_params] for name in names}
    return {name: values for name, values in values_by_name.items() if any(value != values[0] for value in values)}


class _RunDetectors:
    """The detectors of a run: of the common seeds, on the common image sets."""

    def __init__(self, run: Run, seeds: Sequence[int], sets: list[str], scores: Sequence[str]) -> None:
        table, rows = run.table, [run.table.seeds.index(seed) for seed in seeds]
        self.sets = sets
        self.scores = {
            score: {name: table.scores[SIDE, name, score][rows] for name in ("id_test", *sets)} for score in scores
        }
        self.accuracy = [table.accuracy(SIDE)[row] for row in rows]

    def metrics(self, image_set: str, score: str) -> NDArray[np.float64]:
        """Return the metrics of each seed, an array (seeds, metrics)."""
        id_scores, ood_scores = (self.scores[score][name] for name in ("id_test", image_set))
        return np.array([metrics(*seed_scores) for seed_scores in zip(id_scores, ood_scores, strict=True)])

    def gains_of(self, other: "_RunDetectors", params: BootstrapParams) -> dict[tuple[str, str], Gains]:
        """Return the gains of the other run over this one; both sides of a `Pair` are detectors."""
        pairs = {
            name: {score: Pair(self.scores[score][name], other.scores[score][name]) for score in self.scores}
            for name in ("id_test", *self.sets)
        }
        return bootstrap(pairs.pop("id_test"), pairs, params.replicates, params.seed)


def _entry(
    detectors: list[_RunDetectors], gains: list[dict[tuple[str, str], Gains]], members: list[str], score: str
) -> list[Json]:
    """Return for every run its metrics by one score, averaged over the sets, and its difference from the first run."""
    entries: list[Json] = []
    shown_metrics = [metric.key for metric in METRICS]
    for index, detector in enumerate(detectors):
        means = np.mean([detector.metrics(name, score) for name in members], axis=0)  # (seeds, metrics)
        entry: Json = {name: mean_and_std(means[:, Metrics._fields.index(name)].tolist()) for name in shown_metrics}
        entry["difference"] = None
        if index:
            group_gains = differences([gains[index - 1][name, score] for name in members])
            entry["difference"] = {
                name: {"mean": gain.mean, "ci95": [gain.low, gain.high], "verdict": gain.verdict}
                for name, gain in group_gains.items()
                if name in shown_metrics
            }
        entries.append(entry)
    return entries


def _criteria(run: Run) -> Criteria:
    location = f"{PARAMS} at {run.name}"
    try:
        sets, score = run.params["data"]["sets"], run.params["score"]
        groups = {group: [name for name in sets if sets[name]["group"] == group] for group in ("near", "far")}
        if not any(groups.values()):
            groups = {STAND_IN: [name for name in run.table.labels if stands_in(name)]}
        return Criteria(groups, score["headline"], validate(location, BootstrapParams, score["bootstrap"]))
    except (KeyError, TypeError) as error:
        raise ParamsError(location, [f"it lacks {error}, which says how runs are judged"]) from error


def _scores(runs: Sequence[Run], requested: Sequence[str]) -> tuple[str, ...]:
    """Return the requested scores without repetitions; raises an error unless every table has each of them."""
    all_scores = list(dict.fromkeys(score for run in runs for score in run.table.score_names))
    common_scores = [score for score in all_scores if all(score in run.table.score_names for run in runs)]
    for name in requested:
        if name not in all_scores:
            raise PipelineError(f"{name!r} is not a score; {nearest_name(name, all_scores)}")
        if lacking_runs := [run.name for run in runs if name not in run.table.score_names]:
            advice = (
                f"Ask for a score that all have: {', '.join(common_scores)}."
                if common_scores
                else "They have no score in common."
            )
            found = f"no score {name!r} in {', '.join(lacking_runs)}"
            raise ComparisonError(", ".join(run.name for run in runs), found, "that score in every table", advice)
    return tuple(dict.fromkeys(requested))


def _common_seeds(runs: Sequence[Run]) -> list[int]:
    common_seeds = [seed for seed in runs[0].table.seeds if all(seed in run.table.seeds for run in runs)]
    if not common_seeds:
        found = "seeds " + " and ".join(str(list(run.table.seeds)) for run in runs)
        advice = "Train them with the same `seeds`: runs are compared seed by seed."
        raise ComparisonError(", ".join(run.name for run in runs), found, "one seed in common", advice)
    return common_seeds


def _left_out(runs: Sequence[Run]) -> dict[str, str]:
    """Return the sets of ID test and OOD images that are not the same in all runs, each with the reason."""
    names = dict.fromkeys(name for run in runs for name in run.table.labels)
    compared = [name for name in names if name not in ("id_train", "id_validation") and not name.startswith("probe/")]
    reasons = {name: _mismatch(name, runs) for name in compared}
    return {name: reason for name, reason in reasons.items() if reason}


def _mismatch(name: str, runs: Sequence[Run]) -> str:
    """Return how an image set differs between the runs; an empty string where it is the same in all."""
    if lacking_runs := [run.name for run in runs if name not in run.table.labels]:
        return f"is not in {', '.join(lacking_runs)}"
    first = runs[0].table
    other_runs = [
        run.name
        for run in runs
        if not np.array_equal(run.table.contents[name], first.contents[name])
        or not np.array_equal(run.table.labels[name], first.labels[name])
    ]
    return f"has other images or labels in {', '.join(other_runs)}" if other_runs else ""


def _flat(params: object, name: str = "") -> dict[str, Any]:
    """Return nested parameters as one dict, by names such as `train.optimiser.epochs`."""
    if not isinstance(params, dict):
        return {name: params}
    parts = [_flat(value, f"{name}.{key}" if name else str(key)) for key, value in params.items()]
    return {key: value for part in parts for key, value in part.items()}


def _read(path: Path, revision: str) -> bytes:
    if revision != WORKSPACE:
        return read_file(path, revision)
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingInputError(path) from error
