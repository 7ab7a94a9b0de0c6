"""Everything the page shows, gathered before a line of it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.curve import History
from pipeline.infer.params import ScoreName
from pipeline.infer.table import ScoreTable
from pipeline.page.graph import Graph
from pipeline.pictures import Line

Json = dict[str, Any]
ID_TEST = "id_test"


@dataclass(frozen=True)
class Hard:
    """One of the test images that the detector finds hardest to tell."""

    image: NDArray[np.float32]  # (s, s, 3) in 0..1
    score: float  # mean over the seeds
    threshold: float  # idem
    flagged_by: int  # seeds whose detector calls it an outlier
    truth: str | None  # its class; None where it shows none
    predicted: str  # the class most detectors give it


@dataclass(frozen=True)
class Made:
    """How the results came about, from what the run left behind."""

    graph: Graph | None  # None where there is no dvc.yaml
    params: str  # the parameter file as it reads
    machine: str  # that wrote the page


@dataclass(frozen=True)
class Material:
    """What the page is written from; the same material gives the same bytes."""

    metrics: Json  # reports/metrics.json
    table: ScoreTable  # data/scores/scores.parquet
    guard: Json  # reports/guard.json
    quality: Json | None  # reports/quality.json; None where it was not made
    histories: Mapping[str, Mapping[int, History]]  # by role, "teacher" or "detector", and seed
    outliers: Mapping[str, tuple[Line, ...]]  # by method: lines of pictures, the outliers last
    hardest: Mapping[str, tuple[Hard, ...]]  # by image set, the hardest first
    made: Made

    @property
    def seeds(self) -> int:
        """How many networks of each side there are."""
        return len(self.table.seeds)

    @property
    def headline(self) -> ScoreName:
        """The score that the verdict is about."""
        return cast("ScoreName", self.metrics["score"])

    @property
    def ood_sets(self) -> tuple[str, ...]:
        """The OOD sets by name."""
        return tuple(self.metrics["sets"])
