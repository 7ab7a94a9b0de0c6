"""The content of the page, gathered before the page is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pipeline.params.infer import ScoreName
from pipeline.posthoc.table import ScoreTable
from pipeline.report.grid import PictureRow
from pipeline.report.hardest import HardImage, Json
from pipeline.report.page.stage_graph import Graph
from pipeline.training.curve import History


@dataclass(frozen=True)
class RunRecord:
    """How the results were made, from files that the run wrote."""

    graph: Graph | None  # None where there is no dvc.yaml
    params: str  # the text of the parameter file
    machine: str  # the machine that wrote the page
    seconds_per_image: float | None = None  # of stage encode; None where its log is not here
    title: str = "latent-outliers"  # of the model, bundle.title


@dataclass(frozen=True)
class PageContent:
    """What the page is written from; the same content gives the same bytes."""

    metrics: Json  # reports/metrics.json
    table: ScoreTable  # data/scores/scores.parquet
    guard: Json  # reports/guard.json
    quality: Json | None  # reports/quality.json; None where it was not made
    histories: Mapping[str, Mapping[int, History]]  # by role, "teacher" or "detector", and seed
    outliers: Mapping[str, tuple[PictureRow, ...]]  # by method: rows of pictures, the outliers last
    hardest: Mapping[str, tuple[HardImage, ...]]  # by image set, the hardest first
    decoded: bool  # whether outliers are drawn; else only their parents are
    run_record: RunRecord

    @property
    def seeds(self) -> int:
        """The number of networks of each side."""
        return len(self.table.seeds)

    @property
    def headline(self) -> ScoreName:
        """The name of the score that carries the verdict."""
        return cast("ScoreName", self.metrics["score"])

    @property
    def ood_sets(self) -> tuple[str, ...]:
        """The names of the OOD sets."""
        return tuple(self.metrics["sets"])
