"""CIDER: features of a class close to its prototype, prototypes far from each other. NPOS learns its features so."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

TEMPERATURE = 0.1
MOMENTUM = 0.95
"""Of the prototypes; both are those of the official codes of CIDER and NPOS."""


def moved_prototypes(
    prototypes: Tensor,  # (k, d) of unit length, or zero before the first row of a class
    embeddings: Tensor,  # (n, d) of unit length
    labels: Tensor,  # (n,)
) -> Tensor:  # (k, d)
    """Return the prototypes, each moved by the rows of its class one after the other; embeddings keep their gradient.

        prototype_c = normalize(MOMENTUM prototype_c + (1 - MOMENTUM) embedding_i)   for every i of class c in turn

    Source: Tao et al. 2023, https://arxiv.org/abs/2303.02966, section 3.2. Differs from its official code, which sets
    the length to 1 after every row: here once, after the last, which is one product for all rows and classes.
    """
    own = labels[:, None] == torch.arange(len(prototypes), device=labels.device)
    counts = own.sum(0)
    later = counts - own.cumsum(0)  # (n, k) rows of the class still to come
    shares = (own * (1 - MOMENTUM) * MOMENTUM**later).to(embeddings)
    return normalize(MOMENTUM ** counts[:, None] * prototypes + shares.T @ embeddings, dim=1)


def compactness(
    embeddings: Tensor,  # (n, d) of unit length
    prototypes: Tensor,  # (k, d) of unit length
    labels: Tensor,  # (n,)
) -> Tensor:  # (n,) nats
    """Return how badly each row is told by its cosines to the prototypes; lower is better.

        loss_i = -log(exp(cos_i,labels_i / TEMPERATURE) / sum_c exp(cos_ic / TEMPERATURE))

    Source: Tao et al. 2023, https://arxiv.org/abs/2303.02966, eq. 8.
    """
    return cross_entropy(embeddings @ prototypes.T / TEMPERATURE, labels, reduction="none")


def dispersion(
    prototypes: Tensor,  # (k, d) of unit length
) -> Tensor:  # (k,) nats
    """Return how close each prototype is to the others; lower is better.

        loss_c = log((1 / (k - 1)) sum_{j != c} exp(prototype_c . prototype_j / TEMPERATURE))

    Source: Ming et al. 2023, https://arxiv.org/abs/2203.04450; the official code of NPOS has it too.
    """
    classes = len(prototypes)
    itself = torch.eye(classes, dtype=torch.bool, device=prototypes.device)
    cosines = (prototypes @ prototypes.T / TEMPERATURE).masked_fill(itself, -math.inf)
    return cosines.logsumexp(1) - math.log(classes - 1)
