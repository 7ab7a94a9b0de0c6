"""What a detector does, of a hundred images: how many it names rightly, wrongly rejects and flags."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.outliers.stand_ins.names import STAND_IN
from pipeline.posthoc.decision import Decision, rejected
from pipeline.posthoc.table import ScoreTable
from pipeline.report.sentences import joined_words

Json = dict[str, Any]
NORMAL = 1.959964
"""Deviations of a normal distribution within which 95 % of it lie."""
MOST_SETS = 3
"""Image sets that a sentence lists one by one."""


def counts(table: ScoreTable, sets: list[str], decisions: list[Decision]) -> Json:
    """Return the section `counts` of `metrics.json`.

    known: of the ID test images, the share whose class the detectors name rightly, and the share that their thresholds
    reject. others: of each OOD set, the share that they flag. All are means over the seeds, with an interval.
    """

    def share(value: float, image_set: str) -> Json:
        return {"mean": value, "ci95": share_interval(value, len(table.labels[image_set]))}

    return {
        "known": {
            "images": len(table.labels["id_test"]),
            "named_rightly": share(float(np.mean(table.accuracy("detector"))), "id_test"),
            "rejected": share(rejected(table, decisions, "id_test"), "id_test"),
        },
        "others": {
            name: {"images": len(table.labels[name]), "flagged": share(rejected(table, decisions, name), name)}
            for name in sets
        },
    }


def share_interval(share: float, images: int) -> list[float]:
    """Return the 95 % interval of a share of so many images, had others been drawn like them.

        (p + z² / 2n ± z sqrt(p (1 - p) / n + z² / 4n²)) / (1 + z² / n)

    The seeds share their images, so that a mean over seeds is treated like the share of one of them: the interval is
    rather too wide than too narrow.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    squared = NORMAL**2
    middle = share + squared / (2 * images)
    reach = NORMAL * math.sqrt(share * (1 - share) / images + squared / (4 * images**2))
    low, high = ((middle + side * reach) / (1 + squared / images) for side in (-1, 1))
    return [max(0.0, min(low, share)), min(1.0, max(high, share))]


def plain_sentences(metrics: Json) -> list[str]:
    """Return what the counts say, in words that need no knowledge of the field."""
    known, others = metrics["counts"]["known"], metrics["counts"]["others"]
    what = (
        "synthetic outliers, which stand in for images of other things,"
        if STAND_IN in metrics
        else "images of other things"
    )
    return [
        f"Of 100 {what} it flags {_flagged(others)}." if others else "It was shown no images of other things.",
        f"It names {of_hundred(known['named_rightly'])} of 100 known images rightly.",
        f"It wrongly rejects {of_hundred(known['rejected'])} of 100 known images.",
    ]


def _flagged(others: Json) -> str:
    shares = {name: entry["flagged"]["mean"] for name, entry in others.items()}
    return of_sets(shares, {name: of_hundred(entry["flagged"]) for name, entry in others.items()})


def of_sets(shares: Mapping[str, float], counts: Mapping[str, str]) -> str:
    """Return the count of each set in words; of many sets, the least and the most by their shares."""
    ascending = sorted(shares, key=lambda name: shares[name])
    words = {name: f"{count} of {name}" for name, count in counts.items()}
    if len(words) <= MOST_SETS:
        return joined_words([*words.values()])
    return f"between {words[ascending[0]]} and {words[ascending[-1]]}"


def of_hundred(share: Json) -> str:
    """Return a share as a count of a hundred images, with its interval."""
    low, high = share["ci95"]
    return f"{per_hundred(share['mean'])} ({per_hundred(low)} to {per_hundred(high)})"


def per_hundred(share: float) -> str:
    """Return a share as a count of a hundred images."""
    return f"{100 * share:.0f}"
