"""The `score` section of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.params.infer import ScoreName
from pipeline.schema.section import Count, Fraction, Section, Seed

METRICS_FORMAT = "latent-outliers-metrics/1"


class BootstrapParams(Section):
    """How the interval of a difference is drawn."""

    replicates: Annotated[int, Field(ge=100)]
    seed: Seed


class ScoreParams(Section):
    """How detectors are judged."""

    headline: ScoreName
    """The score of the verdict, the plots and the threshold; all scores are in metrics.json."""
    id_rejection: Fraction
    """Share of ID validation images that the threshold may reject."""
    artefact_auroc: Annotated[float, Field(ge=0.5, le=1)]
    """Warn when the probes, ID images that were only re-encoded, are told from ID images better than this."""
    bootstrap: BootstrapParams
    pictures_per_method: Count
    """Outliers shown beside their parents."""
    hardest_pictures: Count
    """Images of each set shown whose scores are most misleading."""
    file_names: bool
    """Whether the page names the files of these images. Pages that are sent may not want to."""
