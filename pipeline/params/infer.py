"""The `infer` section of params.yaml, and the names of the post-hoc scores."""

import ast
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.schema.section import Count, Fraction, Section
from pipeline.schema.spelling import nearest_name

_MODULES = Path(__file__).parents[1] / "posthoc/scores"
SCORES = tuple(sorted(file.stem for file in _MODULES.glob("[a-z]*.py")))
"""Every post-hoc score there is: the modules of `pipeline/posthoc/scores`. They are not imported here."""


def _is_score(name: str) -> str:
    if name not in SCORES:
        raise ValueError(f"not a score; {nearest_name(name, SCORES)}")
    return name


ScoreName = Annotated[str, AfterValidator(_is_score)]


def score_title(name: ScoreName) -> str:
    """Return a score's usual name, the `title` of its class, which is read from the source of its module."""
    for node in ast.walk(ast.parse((_MODULES / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "title":
            return str(ast.literal_eval(node.value))
    raise ValueError(f"the score {name!r} has no title")


class GenParams(Section):
    """Generalised entropy."""

    gamma: Annotated[float, Field(gt=0, lt=1)]
    classes: Count | None
    """The most probable classes that count; null: all."""


class CombinedParams(Section):
    """Settings used by the combined score only."""

    images_per_class: Count
    """ID training images of a class, at most, whose features are kept to look for neighbours among."""
    neighbours: Count
    """The nearest of these, over which the energy is averaged."""


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
