"""The `quality` section of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.schema.section import Count, Fraction, Section

QUALITY_FORMAT = "latent-outliers-quality/1"


class QualityParams(Section):
    """How outliers are looked at."""

    rows: Annotated[int, Field(ge=2)]
    """Most rows of a store that are looked at, evenly spaced."""
    neighbours: Count
    """k of the k-NN distance that says how far a row is from a class."""
    boundary_share: Annotated[float, Field(gt=0, le=1)]
    """The outermost share of a class, whose nearest row is its radius."""
    confidence: Fraction
    """A row that the teacher gives to one class with more than this probability still shows that class."""
