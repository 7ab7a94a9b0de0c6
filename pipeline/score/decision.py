"""The decision: above which score an image is called unknown, fitted on ID validation images only."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import MissingInputError, PipelineError
from pipeline.files import write_json
from pipeline.infer.params import ScoreName
from pipeline.infer.table import ScoreTable

Array = NDArray[np.float64]


class Decision(BaseModel):
    """What one seed's detector calls unknown: images whose score is above the threshold."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["latent-outliers-decision/1"] = "latent-outliers-decision/1"
    seed: int
    weights: str
    """SHA-256 of the detector's weights: the threshold is for no other."""
    score: ScoreName
    threshold: float
    id_rejection_target: float
    id_rejection_validation: float
    """What it comes to on the images it was fitted on: at most the target."""
    validation_images: int


def decide(table: ScoreTable, score: ScoreName, id_rejection: float) -> list[Decision]:
    """Return the decision of each seed, whose threshold rejects at most `id_rejection` of the ID validation images."""
    found = []
    for seed, scores in zip(table.seeds, table.scores["detector", "id_validation", score], strict=True):
        threshold = fitted_threshold(scores, id_rejection)
        found.append(
            Decision(
                seed=seed,
                weights=table.weights[seed],
                score=score,
                threshold=threshold,
                id_rejection_target=id_rejection,
                id_rejection_validation=float((scores > threshold).mean()),
                validation_images=len(scores),
            )
        )
    return found


def fitted_threshold(
    scores: Array,  # (n,) of ID validation images
    id_rejection: float,
) -> float:
    """Return the middle between the largest score that is to be accepted and the next larger one.

    To be accepted are the n - floor(id_rejection n) smallest scores, and all that equal the largest of these. Every
    threshold from that one to below the next rejects the same images here; in the middle another device, whose scores
    differ in their last digits, rejects them too. Where none is larger, nothing is rejected, and half the mean distance
    of neighbouring scores takes the place of half the gap.
    """
    ascending = np.sort(scores)
    to_reject = int(np.floor(id_rejection * len(scores) + 1e-9))  # 0.05 * 60 is 3, whatever floating point says
    accepted = ascending[len(scores) - 1 - to_reject]
    larger = ascending[ascending > accepted]
    if not len(larger):
        return float(accepted + (accepted - ascending[0]) / (2 * max(1, len(scores) - 1)))
    middle = accepted / 2 + larger[0] / 2
    return float(middle if accepted <= middle < larger[0] else accepted)  # between neighbouring floats there is none


def rejected(table: ScoreTable, decisions: list[Decision], image_set: str) -> float:
    """Return the share of a set's images that the detectors call unknown, mean over seeds."""
    rows = zip(decisions, table.scores["detector", image_set, decisions[0].score], strict=True)
    return float(np.mean([(scores > decision.threshold).mean() for decision, scores in rows]))


def write_decisions(folder: Path, decisions: list[Decision]) -> None:
    """Write each seed's decision as `<seed>.json`."""
    for decision in decisions:
        write_json(folder / f"{decision.seed}.json", decision.model_dump(mode="json"))


def read_decision(file: Path) -> Decision:
    """Return a seed's decision; raises MissingInputError, or PipelineError when it is damaged or of another format."""
    try:
        return Decision.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise MissingInputError(file) from error
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise PipelineError(f"{file}: found no decision ({problem}); run `dvc repro --force score`.") from error
