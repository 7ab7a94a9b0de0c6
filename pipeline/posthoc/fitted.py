"""Post-hoc scores of one network: fitted once, then computed for any images."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Self

import torch
from torch import Tensor

from pipeline.networks.resnet import LatentResNet
from pipeline.params.infer import SCORES, InferParams, ScoreName
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore, head_of


def score_class(name: ScoreName) -> type[PosthocScore]:
    """Return the class of the score called `name`, defined in `pipeline/posthoc/scores/<name>.py`."""
    module = import_module(f"pipeline.posthoc.scores.{name}")
    (defined_class,) = (
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, PosthocScore) and kind.__module__ == module.__name__
    )
    return defined_class


class FittedScores:
    """Fitted post-hoc scores of one network; they no longer need the ID images.

    names: the scores; tensors: their learnt tensors, by the names in each score's `learns`.
    """

    def __init__(self, names: Sequence[ScoreName], tensors: Mapping[str, Tensor], params: InferParams) -> None:
        self.names, self.tensors, self.params = tuple(names), dict(tensors), params
        self._scores = {name: score_class(name)(params, tensors) for name in names}

    def __call__(self, outputs: NetworkOutputs) -> dict[ScoreName, Tensor]:
        """Return every score by name, each (n,) float64 on the CPU, larger = more outlier."""
        return {name: score.score(outputs).cpu() for name, score in self._scores.items()}

    def to(self, device: torch.device) -> Self:
        """Return the same scores for outputs on another device."""
        if all(tensor.device == device for tensor in self.tensors.values()):
            return self
        return type(self)(self.names, {name: tensor.to(device) for name, tensor in self.tensors.items()}, self.params)


def fit_scores(
    network: LatentResNet,
    outputs: NetworkOutputs,  # of the ID training images
    labels: Tensor,  # (m,), their classes
    validation: NetworkOutputs,  # of the ID validation images
    params: InferParams,
    names: Sequence[ScoreName] = SCORES,
) -> FittedScores:
    """Fit the scores called `names`. `knn` needs at least `knn_neighbours` ID training images."""
    device = outputs.features.device
    known = IdImages(outputs, labels.to(device), validation, *head_of(network, device))
    tensors: dict[str, Tensor] = {}
    for kind in map(score_class, names):
        if not tensors.keys() >= set(kind.learns):
            tensors |= kind.fit(known, params)
    return FittedScores(names, tensors, params)
