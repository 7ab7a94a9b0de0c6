"""Post-hoc outlier scores as pure functions in float64, all with one direction: larger = more outlier.

Letters: n images, k ID classes, d feature dimensions, m ID training images.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from pipeline.neighbours import Bank, kth_distance


def msp_score(
    logits: Tensor,  # (n, k)
) -> Tensor:  # (n,) nats
    """Return -log max softmax: orders images as 1 - max softmax does, but does not saturate when that reaches 0.

    Computed as softplus(logsumexp of the other logits - the largest), which keeps what 1 - 1e-30 loses.

    Source: Hendrycks and Gimpel 2017, https://arxiv.org/abs/1610.02136.
    """
    largest, others = _largest_and_others(logits)
    return softplus(others - largest)


def max_logit_score(
    logits: Tensor,  # (n, k)
) -> Tensor:  # (n,)
    """Return minus the largest logit.

    Source: Hendrycks et al. 2022, https://arxiv.org/abs/1911.11132, section 3.
    """
    return -logits.max(1).values


def energy_score(
    logits: Tensor,  # (n, k)
) -> Tensor:  # (n,) nats
    """Return the free energy -logsumexp at temperature 1.

    Source: Liu et al. 2020, https://arxiv.org/abs/2010.03759, eq. 4.
    """
    return -torch.logsumexp(logits, 1)


def gen_score(
    logits: Tensor,  # (n, k)
    *,
    gamma: float,
    classes: int | None,
) -> Tensor:  # (n,)
    """Return the generalised entropy of the most probable classes.

        score_i = sum over the `classes` largest p_ic of  p_ic^gamma (1 - p_ic)^gamma

    p is the softmax; None counts every class, and so does a number above k. Computed from logarithms, since 1 - p of a
    sure prediction is 0 in float64 long before its small power is.

    Source: Liu et al. 2023, https://openaccess.thecvf.com/content/CVPR2023/html/Liu_GEN_Pushing_the_Limits_of_Softmax-Based_Out-of-Distribution_Detection_CVPR_2023_paper.html, eq. 5 and 6.
    """  # noqa: E501  # an address
    log_p = torch.log_softmax(logits, 1)
    largest, others = _largest_and_others(logits)
    first = log_p == log_p.max(1, keepdim=True).values
    log_rest = torch.where(first, -softplus(largest - others)[:, None], torch.log1p(-log_p.exp()))
    terms = (gamma * (log_p + log_rest)).exp()
    order = log_p.argsort(1, descending=True)[:, :classes]
    return terms.gather(1, order).sum(1)


def cosine_score(
    features: Tensor,  # (n, d)
    weight: Tensor,  # (k, d) of the classification head
) -> Tensor:  # (n,) 0..2
    """Return 1 - the largest cosine between a feature and a class's weights; a feature of zeros scores 1.

    What the angular heads call confidence (arXiv 2405.00631), on any head.

    Source: Techapanurak et al. 2020, https://arxiv.org/abs/1905.10628, section 3.
    """
    return 1 - (normalize(features, dim=1) @ normalize(weight, dim=1).T).max(1).values


def knn_score(
    features: Tensor,  # (n, d)
    bank: Tensor | Bank,  # (m, d) of the ID training images, each row scaled to unit length
    neighbours: int,
) -> Tensor:  # (n,) 0..2
    """Return the distance of features, scaled to unit length, to the k-th nearest of the bank.

    Raises ValueError when the bank has fewer than k rows.

    Source: Sun et al. 2022, https://arxiv.org/abs/2204.06507, section 3.
    """
    return kth_distance(normalize(features, dim=1), bank, neighbours)


def mahalanobis_distances(
    features: Tensor,  # (n, d)
    means: Tensor,  # (k, d)
    whitening: Tensor,  # (d, r)
) -> Tensor:  # (n, k)
    """Return the squared Mahalanobis distance of every feature to every mean.

    whitening whitening^T is the precision, so that the distance is the Euclidean one of what it maps to.
    """
    exact = "donot_use_mm_for_euclid_dist"  # the faster way cancels where a feature lies at a mean
    return torch.cdist(features @ whitening, means @ whitening, compute_mode=exact).square()


def vim_residual(
    features: Tensor,  # (n, d)
    origin: Tensor,  # (d,)
    residual: Tensor,  # (d, r) orthonormal columns
) -> Tensor:  # (n,)
    """Return the length of what a feature has outside of the principal space.

    Source: Wang et al. 2022, https://arxiv.org/abs/2203.10807, eq. 5.
    """
    lengths: Tensor = ((features - origin) @ residual).norm(dim=1)
    return lengths


def _largest_and_others(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest logit of each row, and logsumexp of the others, each (n,)."""
    top = logits.max(1, keepdim=True)
    others = logits.scatter(1, top.indices, -torch.inf)
    return top.values[:, 0], torch.logsumexp(others, 1)
