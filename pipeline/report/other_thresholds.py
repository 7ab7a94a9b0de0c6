"""What other thresholds would do: more known images rejected for more other images flagged."""

from typing import Any

import numpy as np

from pipeline.params.infer import ScoreName
from pipeline.posthoc.decision import decide, rejected
from pipeline.posthoc.table import ScoreTable
from pipeline.report.hardest import ID_TEST
from pipeline.report.plain_words import per_hundred
from pipeline.report.sentences import joined_words, three_digits

Json = dict[str, Any]
REJECTIONS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Shares of the ID validation images that a threshold may reject."""


def other_thresholds(table: ScoreTable, score: ScoreName, sets: list[str], chosen: float) -> Json:
    """Return the section `thresholds` of `metrics.json`: by the share of ID validation that a threshold may reject.

    Shares are REJECTIONS and the one that was chosen. threshold: its value. rejected: share of the ID test images.
    kept_named_rightly: share of those that it keeps whose class is named rightly; null where it keeps none. flagged:
    share of each OOD set. All are means over the seeds.
    """
    found = {}
    for share in sorted({*REJECTIONS, chosen}):
        decisions = decide(table, score, share)
        found[f"{share:g}"] = {
            "threshold": float(np.mean([decision.threshold for decision in decisions])),
            "rejected": rejected(table, decisions, ID_TEST),
            "kept_named_rightly": _accuracy_of_kept(table, score, [decision.threshold for decision in decisions]),
            "flagged": {name: rejected(table, decisions, name) for name in sets},
        }
    return found


def threshold_words(target: str, entry: Json) -> str:
    """Return in a sentence what the threshold that may reject the share `target` does."""
    flagged = [f"{per_hundred(share)} of 100 of {name}" for name, share in entry["flagged"].items()]
    kept = entry["kept_named_rightly"]
    return (
        f"Rejecting at most {100 * float(target):g} of 100 known images (threshold {three_digits(entry['threshold'])})"
        + (f", it flags {joined_words(flagged)}" if flagged else "")
        + f"; it wrongly rejects {per_hundred(entry['rejected'])} of 100 known test images"
        + (f", and of those it keeps it names {per_hundred(kept)} of 100 rightly." if kept is not None else ".")
    )


def _accuracy_of_kept(table: ScoreTable, score: ScoreName, thresholds: list[float]) -> float | None:
    hits = table.predicted["detector", ID_TEST] == table.labels[ID_TEST]
    scores = table.scores["detector", ID_TEST, score]
    kept = scores <= np.array(thresholds)[:, None]
    accuracies = [float(hit[keeps].mean()) for hit, keeps in zip(hits, kept, strict=True) if keeps.any()]
    return float(np.mean(accuracies)) if accuracies else None
