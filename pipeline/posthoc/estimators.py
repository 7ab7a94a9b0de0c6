"""Post-hoc scores on features and logits of any network, in the manner of scikit-learn: a class per score.

    detector = KNN(neighbours=50).fit(features, labels, logits)  # of ID training images
    scores = detector.score(features_of_others, logits_of_others)  # larger = more outlier

Arrays are NumPy's or PyTorch's, and scores come back as what the features are. n images, k ID classes, d feature
dimensions. `pipeline/posthoc/scores/` has the definitions and their sources.
"""

from typing import ClassVar, NamedTuple, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.params.infer import CombinedParams, GenParams, InferParams, ScoreName
from pipeline.posthoc.fitted import score_class
from pipeline.posthoc.score import IdImages, NetworkOutputs, PosthocScore

Array = TypeVar("Array", Tensor, NDArray[np.floating])
Labels = Tensor | NDArray[np.integer]
PARAMS = InferParams(
    knn_neighbours=10,
    gen=GenParams(gamma=0.1, classes=None),
    mahalanobis_pp_shrinkage=0.5,
    vim_principal=0.5,
    combined=CombinedParams(images_per_class=100, neighbours=3),
)
"""The values of params.yaml."""
LINEAR = 1e-3
"""Largest difference between logits and those of the head that is found for them, as a share of their spread."""


class Head(NamedTuple):
    """The last layer of a network: logits = features weight^T + bias."""

    weight: Tensor | NDArray[np.floating]  # (k, d)
    bias: Tensor | NDArray[np.floating]  # (k,)


class OutlierScore:
    """The base of all scores: fitted to ID images, then computed for any images."""

    name: ClassVar[ScoreName]
    """Of the module in `pipeline/posthoc/scores/`."""
    needs_head: ClassVar[bool] = False
    """Whether the score is computed with the last layer's weights."""

    def __init__(self, params: InferParams = PARAMS) -> None:
        self.params = params
        self._fitted: PosthocScore | None = None

    def fit(
        self,
        features: Array,  # (n, d) of ID training images, what the last layer reads
        labels: Labels,  # (n,) 0 to k - 1
        logits: Array,  # (n, k)
        *,
        head: Head | None = None,
        validation: tuple[Array, Array] | None = None,
    ) -> Self:
        """Fit to ID images, and return self.

        head: the last layer, for scores that use it; None finds it from features and logits, where these are linear.
        validation: features and logits of ID images that the network has not learnt from, for `Combined`; None takes
        the training images, on which distances are smaller.

        Raises ValueError for arrays that do not belong together, or logits that are not linear in the features.
        """
        outputs = _outputs(features, logits)
        classes = torch.as_tensor(labels).long().to(outputs.features.device)
        if len(classes) != len(outputs.features) or classes.min() < 0 or classes.max() >= outputs.logits.shape[1]:
            found = f"{len(classes)} labels from {int(classes.min())} to {int(classes.max())}"
            wanted = f"{len(outputs.features)} from 0 to {outputs.logits.shape[1] - 1}"
            raise ValueError(f"found {found}, wanted {wanted}")
        held_back = outputs if validation is None else _outputs(*validation)
        size = outputs.logits.shape[1], outputs.features.shape[1]
        weight, bias = torch.zeros(size).to(outputs.features), torch.zeros(size[0]).to(outputs.features)
        if head is not None:
            weight, bias = (torch.as_tensor(values).to(weight) for values in head)
        elif self.needs_head:
            weight, bias = _head_of(outputs)
        kind = score_class(self.name)
        known = IdImages(outputs, classes, held_back, weight, bias)
        self._fitted = kind(self.params, kind.fit(known, self.params))
        return self

    def score(
        self,
        features: Array,  # (n, d)
        logits: Array,  # (n, k)
    ) -> Array:  # (n,) float64
        """Return the outlier score of images; larger = more outlier. Raises ValueError before `fit`."""
        if self._fitted is None:
            raise ValueError(f"this {type(self).__name__} is not fitted, call fit first")
        scores = self._fitted.score(_outputs(features, logits))
        if isinstance(features, Tensor):
            return scores
        return scores.cpu().numpy()


class MSP(OutlierScore):
    """Maximum softmax probability."""

    name = "msp"


class MaxLogit(OutlierScore):
    """The largest logit."""

    name = "max_logit"


class Energy(OutlierScore):
    """The free energy of the logits."""

    name = "energy"


class GEN(OutlierScore):
    """Generalised entropy of the most probable classes."""

    name = "gen"

    def __init__(self, gamma: float = 0.1, classes: int | None = None) -> None:
        super().__init__(_with(gen=GenParams(gamma=gamma, classes=classes)))


class KNN(OutlierScore):
    """Distance to the k-th nearest ID training feature."""

    name = "knn"

    def __init__(self, neighbours: int = 10) -> None:
        super().__init__(_with(knn_neighbours=neighbours))


class NNGuide(OutlierScore):
    """Energy, guided by the nearest ID training features."""

    name = "nnguide"

    def __init__(self, neighbours: int = 10) -> None:
        super().__init__(_with(knn_neighbours=neighbours))


class Mahalanobis(OutlierScore):
    """Distance to the nearest class mean, by one covariance."""

    name = "mahalanobis"


class MahalanobisPP(OutlierScore):
    """The same for features of unit length."""

    name = "mahalanobis_pp"

    def __init__(self, shrinkage: float = 0.5) -> None:
        super().__init__(_with(mahalanobis_pp_shrinkage=shrinkage))


class RelativeMahalanobis(OutlierScore):
    """Distance to the nearest class mean, less that to the mean of all."""

    name = "relative_mahalanobis"


class ViM(OutlierScore):
    """The part of a feature outside the principal space, and the energy."""

    name, needs_head = "vim", True

    def __init__(self, principal: float = 0.5) -> None:
        super().__init__(_with(vim_principal=principal))


class Cosine(OutlierScore):
    """Angle between a feature and the weights of its class."""

    name, needs_head = "cosine", True


class FDBD(OutlierScore):
    """Distance to the decision boundaries."""

    name, needs_head = "fdbd", True


class ReAct(OutlierScore):
    """Energy of features whose large values are cut off."""

    name, needs_head = "react", True


class SCALE(OutlierScore):
    """Energy of features that are scaled by how evenly their strength is spread."""

    name, needs_head = "scale", True


class Combined(OutlierScore):
    """Mahalanobis++ and a guided energy, over their spreads on validation images."""

    name = "combined"

    def __init__(self, images_per_class: int = 100, neighbours: int = 3, shrinkage: float = 0.5) -> None:
        combined = CombinedParams(images_per_class=images_per_class, neighbours=neighbours)
        super().__init__(_with(combined=combined, mahalanobis_pp_shrinkage=shrinkage))


def _with(**changes: object) -> InferParams:
    """Return PARAMS with other values; raises ValueError for those that params.yaml may not have either."""
    return InferParams.model_validate(PARAMS.model_dump() | changes)


def _outputs(features: Array, logits: Array) -> NetworkOutputs:
    """Return features and logits in float64; raises ValueError unless they are finite and of the same images."""
    found = NetworkOutputs(torch.as_tensor(logits).double(), torch.as_tensor(features).double())
    shapes = [tuple(values.shape) for values in (found.features, found.logits)]
    if any(len(shape) != 2 for shape in shapes) or shapes[0][0] != shapes[1][0] or not shapes[0][0]:
        raise ValueError(f"found features {shapes[0]} and logits {shapes[1]}, wanted (n, d) and (n, k) of n images")
    if not all(values.isfinite().all() for values in found):
        raise ValueError("found features or logits that are not finite, wanted finite ones")
    return found


def _head_of(outputs: NetworkOutputs) -> tuple[Tensor, Tensor]:
    """Return weight (k, d) and bias (k,) of the layer that makes these logits of these features."""
    features = torch.cat([outputs.features, outputs.features.new_ones(len(outputs.features), 1)], dim=1)
    solution = torch.linalg.pinv(features) @ outputs.logits
    apart = (features @ solution - outputs.logits).abs().max()
    if apart > LINEAR * outputs.logits.std():
        raise ValueError(
            f"found logits that are not linear in the features (by up to {apart:.3g}), wanted what the last layer "
            f"reads; else give the last layer as head=Head(weight, bias)"
        )
    return solution[:-1].T.contiguous(), solution[-1]
