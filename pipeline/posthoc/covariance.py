"""Class means and a shared covariance of features, and Mahalanobis distances to them."""

from typing import NamedTuple

import torch
from torch import Tensor


class ClassCovariance(NamedTuple):
    """The mean of each class, and one covariance that all classes share, stored as a whitening matrix.

    With a single class (k = 1) it describes a background distribution.
    """

    means: Tensor  # (k, d)
    whitening: Tensor  # (d, r); whitening @ whitening.T is the precision matrix


def class_covariance(
    features: Tensor,  # (m, d)
    labels: Tensor,  # (m,)
    *,
    shrinkage: float = 0.0,
) -> ClassCovariance:
    """Return the mean of each class that has rows, and the within-class covariance over all rows, as whitening.

    Directions in which the features do not vary, up to rounding, are ignored: the precision is the Moore-Penrose
    inverse. With shrinkage a, the covariance C is replaced by (1 - a) C + a trace(C) / d times the identity. Small
    differences then count less in directions in which ID features hardly vary.

    Source of the shrinkage: Friedman 1989, https://doi.org/10.1080/01621459.1989.10478752.
    """
    classes, class_indices = labels.unique(return_inverse=True)
    membership = torch.nn.functional.one_hot(class_indices, len(classes)).to(features)  # (m, k)
    means = membership.T @ features / membership.sum(0)[:, None]
    centred = features - means[class_indices]
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(features))
    variances = torch.lerp(variances, variances.mean().expand_as(variances), shrinkage)
    varies = variances > variances.max() * len(variances) * torch.finfo(variances.dtype).eps
    return ClassCovariance(means, axes[:, varies] / variances[varies].sqrt())


def mahalanobis_distances(
    features: Tensor,  # (n, d)
    means: Tensor,  # (k, d)
    whitening: Tensor,  # (d, r)
) -> Tensor:  # (n, k)
    """Return the squared Mahalanobis distance of every feature to every mean.

    The precision is whitening @ whitening.T. So this is the squared Euclidean distance between whitened vectors.
    """
    whitened, centres = features @ whitening, means @ whitening
    if torch.compiler.is_compiling():  # ONNX has no such distance
        squares = whitened.square().sum(1, keepdim=True) + centres.square().sum(1)
        return (squares - 2 * whitened @ centres.T).clamp(min=0)
    exact = "donot_use_mm_for_euclid_dist"  # the faster mode cancels digits where a feature lies at a mean
    return torch.cdist(whitened, centres, compute_mode=exact).square()
