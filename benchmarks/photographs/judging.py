"""What a detector reaches, from its scores of every set: metrics, thresholds, and the order of the images."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.photographs.project import as_ints
from pipeline.networks.resnet import LatentResNet
from pipeline.params.infer import InferParams, ScoreName
from pipeline.posthoc.bootstrap import GAINS
from pipeline.posthoc.decision import fitted_threshold
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.metrics import metrics
from pipeline.posthoc.score import NetworkOutputs

Json = dict[str, Any]
Array = NDArray[np.float64]
SetScores = Mapping[str, Mapping[ScoreName, Array]]
"""By image set and score: (n,), larger = more outlier."""
RANKED: tuple[ScoreName, ...] = ("msp", "energy", "knn", "mahalanobis_pp", "combined")
"""Scores that contestants are compared by: the order of all images by them is kept."""
GROUPS = ("near", "far")


def network_scores(head: nn.Linear, outputs: Mapping[str, NetworkOutputs], labels: Tensor, params: InferParams) -> Any:
    """Return every score of every set but id_train, which the scores learn from.

    head: the last layer of the network. outputs: by image set. labels: (m,) of id_train.
    """
    network = nn.Module()
    network.head = head
    known, validation = outputs["id_train"], outputs["id_validation"]
    fitted = fit_scores(cast("LatentResNet", network), known, labels, validation, params)  # which reads the head only
    return {
        name: {score: values.numpy() for score, values in fitted(of).items()}
        for name, of in outputs.items()
        if name != "id_train"
    }


def judged(
    scores: SetScores, hits: NDArray[np.bool_], id_rejection: float, ranked: Sequence[ScoreName] = RANKED
) -> Json:
    """Return what one detector reaches.

    scores: of id_validation, id_test, near and far, and of the foreign images where they have scores.
    hits: (n,) whether the class of an ID test image is predicted.
    id_rejection: share of ID validation that a threshold may reject.
    ranked: scores by which the order of images is kept.
    """
    return {
        "id_accuracy": float(hits.mean()),
        "hits": as_ints(hits.astype(int)),
        "scores": {score: _by_one_score(scores, score, id_rejection) for score in scores["id_test"]},
        "ranks": {score: ranks({name: scores[name][score] for name in ("id_test", *GROUPS)}) for score in ranked},
    }


def ranks(of: Mapping[str, Array]) -> dict[str, str]:
    """Return the place of each image in the order of all sets, as text; images of one score share a place.

    Every metric of two sets follows from the order.
    """
    distinct = np.unique(np.concatenate([*of.values()]))
    return {name: as_ints(np.searchsorted(distinct, values)) for name, values in of.items()}


def scores_of(ranked: Mapping[str, str]) -> dict[str, Array]:
    """Return what `ranks` wrote as numbers, in the order of the scores."""
    return {name: np.array(text.split(), np.float64) for name, text in ranked.items()}


def _by_one_score(scores: SetScores, score: ScoreName, id_rejection: float) -> Json:
    threshold = fitted_threshold(scores["id_validation"][score], id_rejection)
    found: Json = {
        group: {name: getattr(metrics(scores["id_test"][score], scores[group][score]), name) for name in GAINS}
        for group in GROUPS
    }
    flagged = {name: float((of[score] > threshold).mean()) for name, of in scores.items()}
    return found | {"threshold": threshold, "flagged": flagged}
