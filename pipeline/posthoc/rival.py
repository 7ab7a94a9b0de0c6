"""The output of stage `rival`: which rival it is, and the table of its scores, in the format of the detector's.

rival.json         its kind; written last
scores.parquet     predictions and scores of every image; absent where there is no rival
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from torch import nn

from pipeline.params.infer import ScoreName
from pipeline.params.rival import RivalKind
from pipeline.posthoc.score import NetworkOutputs
from pipeline.posthoc.table import ScoreTable
from pipeline.posthoc.table_file import TABLE, read_table, write_table
from pipeline.runtime.errors import ModelError, ScoreTableError, reason
from pipeline.runtime.files import read_description, write_json
from pipeline.store.format import Frozen

CARD, SIDE = "rival.json", "rival"
SCORES: tuple[ScoreName, ...] = ("msp", "knn", "mahalanobis_pp")
"""What people would take: the probability of the class, and two distances of features."""


class Card(Frozen):
    """The content of rival.json."""

    format: Literal["latent-outliers-rival/1"] = "latent-outliers-rival/1"
    kind: RivalKind


class Rival(NamedTuple):
    """A trained rival."""

    kind: RivalKind
    table: ScoreTable
    """Its seeds are those of the detector; a regression has one, as it has no seeds."""


class Network(NamedTuple):
    """What scores need of a network: its last layer, and its outputs by image set."""

    head: nn.Linear
    outputs: Mapping[str, NetworkOutputs]


def write_rival(folder: Path, kind: RivalKind, table: ScoreTable | None) -> None:
    """Write a rival, or that there is none."""
    if table is not None:
        write_table(folder / TABLE, table)
    write_json(folder / CARD, Card(kind=kind).model_dump(mode="json"))


def read_rival(folder: Path) -> Rival | None:
    """Return the rival of a run, or None where it has none.

    Raises ModelError when its card cannot be read, ScoreTableError when its table cannot.
    """
    try:
        kind = Card.model_validate_json(read_description(folder / CARD, inside=folder)).kind
    except (OSError, ValueError) as error:
        advice = "Run `dvc repro rival`."
        raise ModelError(f"{folder / CARD}: no card of a rival could be read ({reason(error)}). {advice}") from error
    if kind == "none":
        return None
    try:
        return Rival(kind, read_table(folder / TABLE, (SIDE,)))
    except ScoreTableError as error:
        raise ScoreTableError(error.where, error.found, "rival") from error
