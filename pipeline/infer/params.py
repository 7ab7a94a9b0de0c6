"""The `infer` section of params.yaml, and the names of the post-hoc scores."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from pipeline.config import Count, Fraction, Section, Seeds, Weight
from pipeline.synthesize.params import SynthesizeParams

ScoreName = Literal[
    "msp", "max_logit", "energy", "gen", "cosine", "knn", "mahalanobis", "relative_mahalanobis", "mahalanobis_pp",
    "vim", "combined",
]  # fmt: skip
SCORES: tuple[ScoreName, ...] = get_args(ScoreName)


class GenParams(Section):
    """Generalised entropy."""

    gamma: Annotated[float, Field(gt=0, lt=1)]
    classes: Count | None
    """The most probable classes that count; null: all."""


class CombinedParams(Section):
    """What of the combined score is not a score of its own."""

    images_per_class: Count
    """ID training images of a class, at most, whose features are kept to look for neighbours among."""
    neighbours: Count
    """The neighbour whose distance counts."""
    gen_weight: Weight
    """Weight of GEN, where the distances to neighbours and to class means have 1 each."""


class InferParams(Section):
    """How post-hoc scores are computed."""

    knn_neighbours: Count
    """k of the k-NN score."""
    gen: GenParams
    mahalanobis_pp_shrinkage: Annotated[float, Field(ge=0, le=1)]
    """What share of Mahalanobis++'s covariance is a multiple of the identity: 0 none of it, 1 all of it."""
    vim_principal: Fraction
    """Share of the feature's dimensions that span ViM's principal space; the rest is its residual."""
    combined: CombinedParams


class Params(Section):
    """What this stage reads of params.yaml."""

    seeds: Seeds
    synthesize: SynthesizeParams
    """Where there are no OOD images, outliers made like these are scored in their place."""
    infer: InferParams
