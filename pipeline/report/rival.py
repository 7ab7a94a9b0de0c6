"""The section `rival` of `metrics.json`: what a rival reaches, and the detector minus it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.params.infer import ScoreName, score_title
from pipeline.params.rival import TITLES
from pipeline.params.score import ScoreParams
from pipeline.posthoc.decision import fitted_threshold
from pipeline.posthoc.metrics import metrics
from pipeline.posthoc.rival import SCORES, SIDE, Rival, read_rival
from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.report.metrics_json import Groups, Json, comparisons, mean_and_std
from pipeline.report.plain_words import of_sets, per_hundred
from pipeline.report.sentences import claims_phrase
from pipeline.runtime.errors import PipelineError


def add_rival(report: Json, folder: Path, table: ScoreTable, groups: Groups, params: ScoreParams) -> None:
    """Add the section `rival` to the content of `metrics.json`, where the run has a rival in `folder`."""
    if (rival := read_rival(folder)) is not None:
        report["rival"] = rival_figures(rival, table, groups, params)


def rival_figures(rival: Rival, table: ScoreTable, groups: Groups, params: ScoreParams) -> Json:
    """Return the section, and its sentences.

    The rival is judged by the best of SCORES on the test sets, which no user could know before, and the detector by
    its headline score. Each rejects the same share of ID validation. Stand-ins are latents that no image has, so a
    rival has no figures of them. Raises PipelineError when the rival was given other images than the detector.

    title: in words; score: the rival's; id_accuracy, flagged: shares; groups, sets: as those of `metrics.json`, with
    `rival` in the place of `baseline`.
    """
    _require_same_images(rival.table, table)
    seen = {group: [name for name in members if name in rival.table.labels] for group, members in groups.items()}
    seen = {group: members for group, members in seen.items() if members}
    score = _best_score(rival.table, seen)
    flagged = _flagged(rival.table, score, params.id_rejection)
    section: Json = {
        "kind": rival.kind,
        "title": TITLES[rival.kind],
        "score": score,
        "seeds": len(rival.table.seeds),
        "id_accuracy": mean_and_std(rival.table.accuracy(SIDE)),
        "rejected": flagged.pop("id_test"),
        "flagged": {name: flagged[name] for members in seen.values() for name in members},
        **_compared(rival.table, table, seen, score, params),
    }
    return section | {"sentences": _sentences(section)}


def _require_same_images(rival: ScoreTable, detector: ScoreTable) -> None:
    for name, contents in rival.contents.items():
        if not np.array_equal(contents, detector.contents.get(name, ())) or rival.seeds not in (
            detector.seeds, detector.seeds[:1],
        ):  # fmt: skip
            raise PipelineError(f"the rival's scores of {name} are of other images or seeds; run `dvc repro rival`.")


def _best_score(table: ScoreTable, groups: Groups) -> ScoreName:
    """Return the score with the largest AUROC, the mean over the groups of means over their sets and seeds."""

    def auroc(score: ScoreName) -> float:
        known = table.scores[SIDE, "id_test", score]
        return float(
            np.mean([
                np.mean([
                    metrics(*of_seed).auroc
                    for name in members
                    for of_seed in zip(known, table.scores[SIDE, name, score], strict=True)
                ])
                for members in groups.values()
            ])
        )  # fmt: skip

    return max(SCORES, key=auroc) if groups else SCORES[0]


def _flagged(table: ScoreTable, score: ScoreName, id_rejection: float) -> dict[str, float]:
    """Return what share of each set is above the thresholds that are fitted on ID validation; means over the seeds."""
    validation = table.scores[SIDE, "id_validation", score]
    thresholds = np.array([[fitted_threshold(of_seed, id_rejection)] for of_seed in validation])
    return {name: float((table.scores[SIDE, name, score] > thresholds).mean()) for name in table.labels}


def _compared(
    rival: ScoreTable, detector: ScoreTable, groups: Groups, score: ScoreName, params: ScoreParams
) -> dict[str, Json]:
    """Return `groups` and `sets`: the detector by the headline score minus the rival by its own."""
    if not groups:
        return {"groups": {}, "sets": {}}
    baseline_side, detector_side = SIDES
    sets = ["id_test", *(name for members in groups.values() for name in members)]
    scores: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    for name in sets:
        scores[detector_side, name, params.headline] = detector.scores[detector_side, name, params.headline]
        of_rival = rival.scores[SIDE, name, score]
        times = len(detector.seeds) // len(of_rival)  # a regression is the same beside each seed
        scores[baseline_side, name, params.headline] = np.repeat(of_rival, times, axis=0)
    both = replace(detector, scores=scores)
    found = comparisons(both, groups, (params.headline,), params.bootstrap)
    return {
        kind: {name: _named(entry[params.headline], seeds=len(rival.seeds)) for name, entry in entries.items()}
        for kind, entries in found.items()
    }


def _named(entry: Mapping[str, Any], seeds: int) -> Json:
    """Return an entry with the rival in the place of the baseline; of one fit it has no deviation."""
    values = entry[SIDES[0]]
    if seeds == 1:
        values = {metric: value | {"std": None} for metric, value in values.items()}
    return {"rival": values, "detector": entry[SIDES[1]], "difference": entry["difference"]}


def _sentences(section: Json) -> list[str]:
    """Return what the section says, in words."""
    flagged = section["flagged"]
    counts = {name: per_hundred(share) for name, share in flagged.items()}
    others = f"of 100 images of other things it flags {of_sets(flagged, counts)}, " if flagged else ""
    known = f"of 100 known ones it names {per_hundred(section['id_accuracy']['mean'])} rightly and wrongly rejects"
    sentences = [
        f"What one would take instead is {section['title']}: {others}{known} {per_hundred(section['rejected'])}."
    ]
    gains = {name: entry["difference"]["auroc"] for name, entry in section["groups"].items()}
    if gains:
        best = f"The rival is given the best of its scores on these sets, {score_title(section['score'])}."
        sentences += [f"The detector {claims_phrase(gains, 'it')}.", best]
    return sentences
