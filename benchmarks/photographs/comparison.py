"""Compare the contestants of a folder: what each reaches, and ours minus each, paired over seeds and images."""

from collections.abc import Sequence

import numpy as np

from benchmarks.leaderboard.scoring import Scores
from benchmarks.leaderboard.statistics import Entrant, Split, accuracy_gains, gains, reached
from benchmarks.photographs.contestants import CONTESTANTS, RUNS, Contestant
from benchmarks.photographs.judging import GROUPS, Json, scores_of
from benchmarks.photographs.parts import FORMAT, Parts
from pipeline.params.infer import ScoreName
from pipeline.params.score import BootstrapParams
from pipeline.posthoc.bootstrap import Difference
from pipeline.report.metrics_json import mean_and_std
from pipeline.runtime.errors import PipelineError

BOOTSTRAP = BootstrapParams(replicates=2000, seed=0)
SETS = ("id_test", *GROUPS)


def compared(parts: Parts, bootstrap: BootstrapParams = BOOTSTRAP) -> Json:
    """Return a line for each contestant that has parts; raises PipelineError where parts are of different images."""
    images = parts.read_images()
    found = {name: [parts.read(name, seed) for seed in parts.seeds(name)] for name in RUNS}
    found = {name: of for name, of in found.items() if of}
    for name, of in found.items():
        if any(part["settings"]["images"] != images["digest"] for part in of):
            raise PipelineError(f"{parts.folder}: its parts {name} are of other images; run {name} again.")
    lines = {
        name: _line(contestant, of)
        for name, contestant in CONTESTANTS.items()
        if (of := _side(found.get(name.removesuffix("-teacher"), []), contestant))
    }
    for name, line in lines.items():
        if (rival := CONTESTANTS[name].rival) in lines:
            sides = {one: _side(found[one.removesuffix("-teacher")], CONTESTANTS[one]) for one in (str(rival), name)}
            numbers = {one: images["numbers"][one] for one in SETS}
            line["ours_minus"] = _ours_minus(str(rival), name, lines, sides, numbers, bootstrap)
    sizes = {name: len(of) for name, of in images["numbers"].items()}
    return {"format": FORMAT, "sizes": sizes, "replicates": bootstrap.replicates, "lines": lines}


def _side(parts: Sequence[Json], contestant: Contestant) -> list[Json]:
    """Return the results of the detectors, or of the teachers of the same runs."""
    if contestant.side == "detector":
        return list(parts)
    return [part["teacher"] | {name: part[name] for name in ("headline", "costs")} for part in parts]


def _line(contestant: Contestant, parts: list[Json]) -> Json:
    """Return what a contestant reaches; of several scores the best by each figure."""
    scores = contestant.scores or (parts[0]["headline"],)
    line: Json = {
        "seeds": len(parts),
        "id_accuracy": mean_and_std([part["id_accuracy"] for part in parts]),
        "costs": {name: float(np.mean([part["costs"][name] for part in parts])) for name in parts[0]["costs"]},
    }
    for group in GROUPS:
        line[group] = _best({
            score: mean_and_std([part["scores"][score][group]["auroc"] for part in parts]) for score in scores
        })  # fmt: skip
    flagged = {score: [part["scores"][score]["flagged"].get("foreign") for part in parts] for score in scores}
    if all(None not in values for values in flagged.values()):  # teachers are not asked for foreign images
        line["foreign_flagged"] = _best({score: mean_and_std(values) for score, values in flagged.items()})
    return line


def _best(of: dict[ScoreName, Json]) -> Json:
    """Return the largest value and the score it belongs to."""
    score = max(of, key=lambda name: of[name]["mean"])
    return {"score": score, **of[score]}


def _ours_minus(
    rival: str, name: str, lines: Json, sides: dict[str, list[Json]], numbers: Json, bootstrap: BootstrapParams
) -> Json:
    """Return ours minus a contestant in ID accuracy and in the AUROC of each group."""
    seeds = len(sides[rival])
    split = Split(
        groups={group: [group] for group in GROUPS},
        scores={one: network_scores(of, seeds) for one, of in sides.items()},
        contents=numbers,
    )
    found = {"id_accuracy": told(accuracy_gains([split], rival, [name], bootstrap)[name])}
    for group in GROUPS:
        ours, other = (Entrant(one, lines[one][group]["score"]) for one in (rival, name))
        gain = gains([split], ours, [other], bootstrap)[other, group]["auroc"]
        expected = reached([split], ours, group)["auroc"].mean - reached([split], other, group)["auroc"].mean
        assert abs(gain.mean - expected) < 1e-9
        found[group] = told(gain)
    return found


def network_scores(parts: Sequence[Json], seeds: int) -> Scores:
    """Return the scores of a contestant, for each seed; what has no seeds is the same for all.

    Raises PipelineError where it has seeds, but not as many.
    """
    if len(parts) not in (1, seeds):
        raise PipelineError(f"found {len(parts)} seeds of a contestant, wanted 1 or {seeds}; run the others too.")
    repeated = list(parts) if len(parts) == seeds else list(parts) * seeds
    orders = [{score: scores_of(ranks) for score, ranks in part["ranks"].items()} for part in repeated]
    of = {name: {score: np.stack([order[score][name] for order in orders]) for score in orders[0]} for name in SETS}
    return Scores(of, np.stack([np.array(part["hits"].split()) == "1" for part in repeated]))


def told(gain: Difference) -> Json:
    """Return a difference as JSON."""
    return {"mean": gain.mean, "ci95": [gain.low, gain.high], "verdict": gain.verdict}
