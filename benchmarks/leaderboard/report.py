"""Build the report of a benchmark: what every method reaches, and ours minus each, as JSON."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.bench import hardware
from benchmarks.leaderboard.lines import Json, compared
from benchmarks.leaderboard.methods import OURS, Method, weights
from benchmarks.leaderboard.project import Project
from benchmarks.leaderboard.statistics import Entrant, Split, accuracy_gains, best_score, gains, reached, spread
from pipeline.params.infer import SCORES, ScoreName
from pipeline.params.probe import PROBES
from pipeline.params.score import BootstrapParams
from pipeline.posthoc.bootstrap import Difference
from pipeline.posthoc.metrics import metrics
from pipeline.runtime.run_log import git_revision

FORMAT = "latent-outliers-leaderboard/1"


def build_report(
    projects: Sequence[Project], methods: Mapping[str, Method], splits: Sequence[Split], seconds: float | None
) -> Json:
    """Return what a run found; every value is a share of 1. seconds: null where an earlier run did a part."""
    params = projects[0].params
    headline = params.score.headline
    report = {
        "format": FORMAT,
        "benchmark": projects[0].task.benchmark,
        "development": projects[0].task.development,
        "commit": git_revision(),
        "hardware": hardware(),
        "seconds": None if seconds is None else round(seconds),
        "seeds": list(params.seeds),
        "epochs": {"cross-entropy": params.teacher.optimiser.epochs, "ours": params.train.optimiser.epochs},
        "outliers": {name: getattr(params.synthesize, name).rows for name in projects[0].methods},
        "replicates": params.score.bootstrap.replicates,
        "held_out": [list(project.task.held_out) for project in projects],
        "groups": {group: list(members) for group, members in splits[0].groups.items()},
        "headline": headline,
        "losses": weights(params.train),
        "methods": _methods(methods, splits, headline, params.score.bootstrap),
        "probes": _probes(projects, splits, headline),
    }
    return report | {"ranking": compared(report)}


def _methods(
    methods: Mapping[str, Method], splits: Sequence[Split], headline: ScoreName, bootstrap: BootstrapParams
) -> dict[str, Json]:
    groups = [group for group, members in splits[0].groups.items() if members]
    best = {name: {group: best_score(splits, name, group) for group in groups} for name in methods}
    own = {name: method.score or headline for name, method in methods.items()}
    others = sorted(
        {
            Entrant(name, score)
            for name, method in methods.items()
            if name != OURS
            for score in (
                SCORES if method.role in ("cross-entropy", "candidate") else {own[name], *best[name].values()}
            )
        }
    )
    found = gains(splits, Entrant(OURS, headline), others, bootstrap)
    of_accuracy = accuracy_gains(splits, OURS, [name for name in methods if name != OURS], bootstrap)
    return {
        name: {
            "title": method.title,
            "role": method.role,
            "source": method.source,
            "rows": getattr(method.how, "rows", None),
            "score": own[name],
            "best": best[name],
            "id_accuracy": _accuracy(splits, name)
            | ({"ours_minus": _told(of_accuracy[name])} if name in of_accuracy else {}),
            "scores": {
                score: {group: _values(splits, Entrant(name, score), group) for group in groups} for score in SCORES
            },
            "ours_minus": {
                one.score: {group: {what: _told(gain) for what, gain in found[one, group].items()} for group in groups}
                for one in others
                if one.method == name
            },
        }
        for name, method in methods.items()
    }


def _values(splits: Sequence[Split], entrant: Entrant, group: str) -> Json:
    return {name: value._asdict() for name, value in reached(splits, entrant, group).items()}


def _accuracy(splits: Sequence[Split], name: str) -> Json:
    return spread([split.scores[name].hits.mean(1) for split in splits])._asdict()


def _told(gain: Difference) -> Json:
    return {"mean": gain.mean, "ci95": [gain.low, gain.high], "verdict": gain.verdict}


def _probes(projects: Sequence[Project], splits: Sequence[Split], headline: ScoreName) -> Json:
    """Return how well ours tells ID test images that only went through encoder or JPEG: 0.5 is good."""
    found: Json = {}
    for project, split in zip(projects, splits, strict=True):
        scores = split.scores[OURS].of
        found[project.task.name] = {
            probe: spread(
                [
                    np.array(
                        [
                            metrics(known, changed).auroc
                            for known, changed in zip(
                                scores["id_test"][headline], scores[f"probe/{probe}"][headline], strict=True
                            )
                        ]
                    )
                ]
            )._asdict()
            for probe in PROBES
        }
    return found
