"""Made-up scores, and the report of a made-up benchmark."""

import numpy as np

from benchmarks.leaderboard.scoring import Scores
from benchmarks.leaderboard.statistics import Split
from pipeline.params.infer import SCORES

SETS = ("id_test", "held_out", "noise", "photographs")
GROUPS = {"near": ["held_out"], "far": ["noise", "photographs"]}


def scores(rng, *, seeds=5, images=30, shift=0.0):
    """Scores of every set by every score, those of OOD sets moved up by `shift`."""
    of = {
        name: {score: rng.standard_normal((seeds, images)) + shift * (name != "id_test") for score in SCORES}
        for name in (*SETS, "probe/reencoded", "probe/jpeg")
    }
    return Scores(of, rng.random((seeds, images)) < 0.8)


def contents(first=0, images=30):
    """Content hashes of as many images of every set, all different."""
    return {name: np.arange(images) + first + images * place for place, name in enumerate(SETS)}


def splits(count=2, **shifts):
    """Splits with the methods called like the shifts, of different images."""
    rng = np.random.default_rng(0)
    return [
        Split(GROUPS, {name: scores(rng, shift=shift) for name, shift in shifts.items()}, contents(1000 * place))
        for place in range(count)
    ]


def spread(mean):
    return {"mean": mean, "std": 0.01}


def gain(mean, verdict="undecided"):
    return {"mean": mean, "ci95": [mean - 0.1, mean + 0.1], "verdict": verdict}


def method(title, role, auroc, *, score="msp", rows=None):
    """What a report says of a method that reaches `auroc` everywhere."""
    values = {"auroc": spread(auroc), "fpr95_ood_pos": spread(0.3), "fpr95_id_pos": spread(0.2)}
    groups = {"near": values, "far": values}
    apart = {group: {name: gain(0.9 - auroc, "better") for name in values} for group in groups}
    ours = role == "ours"
    return {
        "title": title,
        "role": role,
        "source": "a paper",
        "rows": rows,
        "score": score,
        "best": {"near": "vim", "far": score},
        "id_accuracy": spread(0.97) | ({} if ours else {"ours_minus": gain(0.0)}),
        "scores": dict.fromkeys(("msp", "knn", "vim"), groups),
        "ours_minus": {} if ours else dict.fromkeys(("msp", "knn", "vim"), apart),
    }


def report(**more):
    """A small report; `more` are further methods."""
    return {
        "format": "latent-outliers-leaderboard/1",
        "benchmark": "digits",
        "development": False,
        "commit": "0123456789",
        "hardware": "a processor",
        "seconds": 1200,
        "seeds": [0, 1, 2],
        "epochs": {"cross-entropy": 80, "ours": 80},
        "outliers": {"perturb": 2048, "mixup": 2048},
        "replicates": 2000,
        "held_out": [["8", "9"], ["2", "5"]],
        "groups": {"near": ["held_out"], "far": ["noise", "photographs"]},
        "headline": "knn",
        "losses": {"mixing": 1.0, "info_nce": 0.1},
        "methods": {
            "ours": method("our default", "ours", 0.9, score="knn"),
            "cross_entropy": method("cross-entropy", "cross-entropy", 0.8),
            "vos": method("VOS", "published", 0.95),
            "only_copies": method("copies (null)", "null", 0.7, score="knn"),
            **more,
        },
        "probes": {"digits-8-9": {"jpeg": spread(0.51)}},
    }


def by_rows():
    """A small report of our default with other numbers of outliers, of none of the other methods."""
    sizes = {f"ours_{rows}": method(f"{rows:,}", "size", rows / 10_000, rows=rows) for rows in (512, 32, 2048)}
    found = report(**sizes)
    return found | {"methods": {name: found["methods"][name] for name in ("ours", "cross_entropy", *sizes)}}
