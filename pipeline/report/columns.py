"""The columns of a result: one list, from which terminal, page, model card and comparison make their tables."""

from typing import Any, Literal, NamedTuple

Json = dict[str, Any]


class Metric(NamedTuple):
    """A metric that every table of results shows."""

    key: str
    """The name of the metric in metrics.json."""
    title: str


METRICS = (Metric("auroc", "AUROC"), Metric("fpr95_ood_pos", "FPR95"))
"""The metrics of every table. A new entry also needs one in `posthoc.bootstrap.GAINS`, for its difference."""
DECIDING = METRICS[0]
"""The metric whose verdict is the verdict of a row."""


class Column(NamedTuple):
    """One column: a metric of the detector or of what it is compared with, its gain in it, or the verdict."""

    title: str
    kind: Literal["value", "difference", "verdict"]
    metric: str
    side: Literal["baseline", "rival", "detector"] | None = None

    def value(self, entry: Json) -> Json:
        """Return the content of the column from the entry of metrics.json for a group or set by one score."""
        value: Json = entry["difference" if self.side is None else self.side][self.metric]
        return value


DIFFERENCE = "difference [95 % CI]"


def columns(other: Literal["baseline", "rival"]) -> tuple[Column, ...]:
    """Return the columns of a row that compares the detector with another, from left to right."""
    of_metrics = [
        column
        for key, title in METRICS
        for column in (
            Column(f"{title} {other}", "value", key, other),
            Column(f"{title} detector", "value", key, "detector"),
            Column(DIFFERENCE, "difference", key),
        )
    ]
    return (*of_metrics, Column("detector is", "verdict", DECIDING.key))


COLUMNS = columns("baseline")
"""The columns of a row of results."""
RIVAL_COLUMNS = columns("rival")
"""The columns of a row that compares with what one would take instead."""
