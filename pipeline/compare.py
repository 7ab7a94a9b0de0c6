"""Compare the detectors of several revisions image by image: the same images, seeds and draws for each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.config import nearest_name, parse_yaml, validate
from pipeline.errors import ComparisonError, MissingInputError, ParamsError, PipelineError
from pipeline.infer.params import SCORES, ScoreName
from pipeline.infer.table import TABLE, ScoreTable, read_stream
from pipeline.score.bootstrap import Gains, Pair, bootstrap, differences
from pipeline.score.metrics import Metrics, metrics
from pipeline.score.params import BootstrapParams
from pipeline.score.report import Groups, Json, spread
from pipeline.sharing.revision import read_file
from pipeline.stand_in import STAND_IN, stands_in

COMPARISON_FORMAT = "latent-outliers-comparison/1"
WORKSPACE = "workspace"
"""What lies here, as DVC calls it; any other name is a commit, branch, tag or experiment."""
PARAMS, SCORE_TABLE = Path("params.yaml"), Path("data/scores") / TABLE
SIDE = "detector"
SHOWN = ("auroc", "fpr95_ood_pos")


@dataclass(frozen=True)
class Run:
    """What a revision holds of a run."""

    name: str
    params: dict[str, Any]
    table: ScoreTable


@dataclass(frozen=True)
class Judging:
    """How the first run judges, and so all of them here."""

    groups: Groups
    headline: str
    bootstrap: BootstrapParams


def load_run(revision: str) -> Run:
    """Read the parameters and scores of a revision, from DVC's cache or remote; nothing is checked out."""
    params = parse_yaml(f"{PARAMS} at {revision}", _content(PARAMS, revision))
    stream = BytesIO(_content(SCORE_TABLE, revision))
    return Run(revision, params, read_stream(stream, f"{SCORE_TABLE} at {revision}"))


def compare(runs: Sequence[Run], asked: Sequence[str] = ()) -> Json:
    """Return what the runs have in common, side by side, and how every other one differs from the first.

    asked: scores; without any, the first run's headline. The first run's parameters say which sets are near and far;
    without any, what stands in for them is compared.
    Compared are the image sets with the same images and labels in every run, over the seeds that every run has; a
    difference is that of the detectors, paired over both. Raises ComparisonError when nothing is left.
    """
    judging = _judging(runs[0])
    scores = _scores(asked or [judging.headline])
    seeds, left_out = _common_seeds(runs), _left_out(runs)
    groups = {group: [name for name in sets if name not in left_out] for group, sets in judging.groups.items()}
    sets = [name for members in groups.values() for name in members]
    if "id_test" in left_out or not sets:
        found = "; ".join(f"{name} {why}" for name, why in left_out.items()) or "no OOD set"
        advice = "Compare runs on the same data, with OOD images to compare them by."
        raise ComparisonError([run.name for run in runs], found, "id_test and one OOD set in common", advice)
    chosen = [_Detector(run, seeds, sets, scores) for run in runs]
    gains = [chosen[0].against(other, judging.bootstrap) for other in chosen[1:]]

    def entry(members: list[str]) -> Json:
        return {score: _entry(chosen, gains, members, score) for score in scores}

    return {
        "format": COMPARISON_FORMAT,
        "revisions": [run.name for run in runs],
        "parameters": changed_parameters(runs),
        "seeds": list(seeds),
        "left_out": left_out,
        "id_accuracy": [spread(detector.accuracy) for detector in chosen],
        "groups": {group: entry(members) for group, members in groups.items() if members},
        "sets": {name: entry([name]) for name in sets},
    }


def changed_parameters(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return the value in each run of every parameter that is not the same in all; None where a run has none."""
    flat = [_flat(run.params) for run in runs]
    names = dict.fromkeys(name for one in flat for name in one)
    values = {name: [one.get(name) for one in flat] for name in names}
    return {name: each for name, each in values.items() if any(one != each[0] for one in each)}


class _Detector:
    """A run's detectors of the common seeds, on the common image sets."""

    def __init__(self, run: Run, seeds: Sequence[int], sets: list[str], scores: Sequence[ScoreName]) -> None:
        table, rows = run.table, [run.table.seeds.index(seed) for seed in seeds]
        self.sets = sets
        self.scores = {
            score: {name: table.scores[SIDE, name, score][rows] for name in ("id_test", *sets)} for score in scores
        }
        self.accuracy = [table.accuracy(SIDE)[row] for row in rows]

    def metrics(self, image_set: str, score: ScoreName) -> NDArray[np.float64]:
        """Return the metrics of each seed, (seeds, metrics)."""
        known, unknown = (self.scores[score][name] for name in ("id_test", image_set))
        return np.array([metrics(*rows) for rows in zip(known, unknown, strict=True)])

    def against(self, other: "_Detector", params: BootstrapParams) -> dict[tuple[str, ScoreName], Gains]:
        """Return what the other one gains over this one; both sides of a pair are detectors here."""
        pairs = {
            name: {score: Pair(self.scores[score][name], other.scores[score][name]) for score in self.scores}
            for name in ("id_test", *self.sets)
        }
        return bootstrap(pairs.pop("id_test"), pairs, params.replicates, params.seed)


def _entry(
    chosen: list[_Detector], gains: list[dict[tuple[str, ScoreName], Gains]], members: list[str], score: ScoreName
) -> list[Json]:
    """Return for every run its metrics by one score, as means over the sets, and the difference to the first run."""
    entries: list[Json] = []
    for place, detector in enumerate(chosen):
        means = np.mean([detector.metrics(name, score) for name in members], axis=0)  # (seeds, metrics)
        entry: Json = {name: spread(means[:, Metrics._fields.index(name)].tolist()) for name in SHOWN}
        entry["difference"] = None
        if place:
            apart = differences([gains[place - 1][name, score] for name in members])
            entry["difference"] = {
                name: {"mean": gain.mean, "ci95": [gain.low, gain.high], "verdict": gain.verdict}
                for name, gain in apart.items()
                if name in SHOWN
            }
        entries.append(entry)
    return entries


def _judging(run: Run) -> Judging:
    place = f"{PARAMS} at {run.name}"
    try:
        sets, score = run.params["data"]["sets"], run.params["score"]
        groups = {group: [name for name in sets if sets[name]["group"] == group] for group in ("near", "far")}
        if not any(groups.values()):
            groups = {STAND_IN: [name for name in run.table.labels if stands_in(name)]}
        return Judging(groups, score["headline"], validate(place, BootstrapParams, score["bootstrap"]))
    except (KeyError, TypeError) as error:
        raise ParamsError(place, [f"it lacks {error}, which says how runs are judged"]) from error


def _scores(asked: Sequence[str]) -> tuple[ScoreName, ...]:
    for name in asked:
        if name not in SCORES:
            raise PipelineError(f"{name!r} is not a score; {nearest_name(name, SCORES)}")
    return cast("tuple[ScoreName, ...]", tuple(dict.fromkeys(asked)))


def _common_seeds(runs: Sequence[Run]) -> list[int]:
    common = [seed for seed in runs[0].table.seeds if all(seed in run.table.seeds for run in runs)]
    if not common:
        found = "seeds " + " and ".join(str(list(run.table.seeds)) for run in runs)
        advice = "Train them with the same `seeds`: runs are compared seed by seed."
        raise ComparisonError([run.name for run in runs], found, "one seed in common", advice)
    return common


def _left_out(runs: Sequence[Run]) -> dict[str, str]:
    """Return which sets of ID test and OOD images are not the same in all runs, and why."""
    names = dict.fromkeys(name for run in runs for name in run.table.labels)
    judged = [name for name in names if name not in ("id_train", "id_validation") and not name.startswith("probe/")]
    whys = {name: _why_not(name, runs) for name in judged}
    return {name: why for name, why in whys.items() if why}


def _why_not(name: str, runs: Sequence[Run]) -> str:
    if missing := [run.name for run in runs if name not in run.table.labels]:
        return f"is not in {', '.join(missing)}"
    first = runs[0].table
    other = [
        run.name
        for run in runs
        if not np.array_equal(run.table.contents[name], first.contents[name])
        or not np.array_equal(run.table.labels[name], first.labels[name])
    ]
    return f"has other images or labels in {', '.join(other)}" if other else ""


def _flat(params: object, name: str = "") -> dict[str, Any]:
    if not isinstance(params, dict):
        return {name: params}
    parts = [_flat(value, f"{name}.{key}" if name else str(key)) for key, value in params.items()]
    return {key: value for part in parts for key, value in part.items()}


def _content(path: Path, revision: str) -> bytes:
    if revision != WORKSPACE:
        return read_file(path, revision)
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingInputError(path) from error
