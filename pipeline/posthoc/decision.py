"""The decision threshold of a detector: an image whose score is above it is an outlier. Fitted on ID validation."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.params.infer import ScoreName
from pipeline.posthoc.table import ScoreTable
from pipeline.runtime.errors import MissingInputError, PipelineError, ScoreError
from pipeline.runtime.files import read_description, write_json
from pipeline.schema.section import Count

Array = NDArray[np.float64]
Share = Annotated[float, Field(ge=0, le=1)]


class Decision(BaseModel):
    """The threshold of one seed's detector: images whose score is above it are outliers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["latent-outliers-decision/1"] = "latent-outliers-decision/1"
    seed: int
    weights: str
    """SHA-256 of the detector's weights; the threshold is valid only for these."""
    score: ScoreName
    threshold: float
    id_rejection_target: Share
    id_rejection_validation: Share
    """Share of ID validation images that the threshold rejects; at most the target."""
    validation_images: Count


def decide(table: ScoreTable, score: ScoreName, id_rejection: float) -> list[Decision]:
    """Return the decision of each seed; its threshold rejects at most the share `id_rejection` of ID validation images.

    Raises PipelineError when the table does not have this score; tables of an earlier version may lack it.
    """
    if score not in table.score_names:
        available = ", ".join(table.score_names)
        raise PipelineError(f"the table of scores has no {score!r}, only {available}. Run `dvc repro infer`.")
    decisions = []
    for seed, scores in zip(table.seeds, table.scores["detector", "id_validation", score], strict=True):
        weights = table.weights[seed]
        decisions.append(Decision(seed=seed, weights=weights, score=score, **fitted_to(scores, id_rejection)))
    return decisions


def fitted_to(
    scores: Array,  # (n,) of known images
    id_rejection: float,
) -> dict[str, Any]:
    """Return the fields of a decision that follow from the scores of known images, with the errors of the threshold."""
    threshold = fitted_threshold(scores, id_rejection)
    return {
        "threshold": threshold,
        "id_rejection_target": id_rejection,
        "id_rejection_validation": float((scores > threshold).mean()),
        "validation_images": len(scores),
    }


def fitted_threshold(
    scores: Array,  # (n,) of ID validation images
    id_rejection: float,
) -> float:
    """Return the midpoint between the largest accepted score and the next larger score.

    Accepted are the n - floor(id_rejection n) smallest scores, and all scores equal to the largest of these. Any
    threshold in the gap up to the next score rejects the same images. The midpoint also rejects the same images on
    another device, whose scores differ in their last digits. If no score is larger, nothing is rejected: half the mean
    distance between neighbouring scores then replaces half the gap. Raises ScoreError when a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise ScoreError("scores of ID validation images are not finite, wanted all; run `dvc repro infer`.")
    ascending = np.sort(scores)
    to_reject = int(np.floor(id_rejection * len(scores) + 1e-9))  # 0.05 * 60 must be 3, despite floating-point rounding
    accepted = ascending[len(scores) - 1 - to_reject]
    larger = ascending[ascending > accepted]
    if not len(larger):
        return float(accepted + (accepted - ascending[0]) / (2 * max(1, len(scores) - 1)))
    middle = accepted / 2 + larger[0] / 2
    return float(middle if accepted <= middle < larger[0] else accepted)  # adjacent floats have no midpoint


def rejected(table: ScoreTable, decisions: list[Decision], image_set: str) -> float:
    """Return the share of a set's images that the detectors reject as outliers, mean over seeds."""
    rows = zip(decisions, table.scores["detector", image_set, decisions[0].score], strict=True)
    return float(np.mean([(scores > decision.threshold).mean() for decision, scores in rows]))


def write_decisions(folder: Path, decisions: list[Decision]) -> None:
    """Write each seed's decision as `<seed>.json`."""
    for decision in decisions:
        write_json(folder / f"{decision.seed}.json", decision.model_dump(mode="json"))


def read_decision(file: Path) -> Decision:
    """Read a seed's decision; raises MissingInputError, or PipelineError if it is damaged or of another format."""
    try:
        return Decision.model_validate_json(read_description(file, inside=file.parent))
    except FileNotFoundError as error:
        raise MissingInputError(file) from error
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise PipelineError(f"{file}: found no decision ({problem}); run `dvc repro --force score`.") from error
