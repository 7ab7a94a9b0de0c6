"""The `score` section of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import Count, Fraction, Section, Seed, Seeds
from pipeline.images.params import DataParams
from pipeline.synthesize.params import SynthesizeParams

ScoreName = Literal["msp", "energy", "knn"]
METRICS_FORMAT = "latent-outliers-metrics/1"


class BootstrapParams(Section):
    """How the interval of a difference is drawn."""

    replicates: Annotated[int, Field(ge=100)]
    seed: Seed


class ScoreParams(Section):
    """How detectors are judged."""

    headline: ScoreName
    """The score of the table, the plots and the threshold; all scores are in metrics.json."""
    knn_neighbours: Count
    """k of the k-NN score."""
    id_rejection: Fraction
    """Share of ID validation images that the threshold may reject."""
    bootstrap: BootstrapParams
    pictures_per_method: Count
    """Outliers shown beside their parents."""


class Params(Section):
    """What this stage reads of params.yaml."""

    seeds: Seeds
    data: DataParams
    synthesize: SynthesizeParams
    score: ScoreParams
