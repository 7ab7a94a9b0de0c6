"""NPOS: outliers around the outermost ID features of a class, which a small network is to tell from ID rows."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from benchmarks.leaderboard.peers.cider import compactness, dispersion, moved_prototypes
from benchmarks.leaderboard.peers.class_queue import ClassQueue
from benchmarks.leaderboard.peers.setting import Peer, Setting
from pipeline.networks.resnet import LatentResNet
from pipeline.training.gradients import Losses

START = 0.4
"""Share of the training without outliers: 40 of 100 epochs where OpenOOD trains it from scratch. The official code
starts from trained weights, and at once."""
QUEUE = 250
"""Most features of a class that distances are to. A quarter of the official code's, which searches on a GPU: the cost
grows with the square, and at 1000 a step on a CPU would take five times that of the network alone."""
NEIGHBOURS, BOUNDARY, CANDIDATES = 0.1, 0.05, 0.6
"""Shares of the queue: the neighbour that distances are to, boundary points, draws around each that is picked. At the
1000 rows of the official code they are its 100, 50 and 600; a shorter queue has the same quantiles."""
PICKED, KEPT = 2, 2
"""Boundary points of a class in a step, and outliers around each, as there."""
SIGMA = 0.1
"""Of the noise in each dimension, as there."""
HIDDEN, EMBEDDING = 128, 128
"""Width of the network that tells outliers, and of the embedding, as there."""
WEIGHT, DISPERSION = 0.1, 0.5
"""Of the loss on outliers and of dispersion, as there."""
CLIP = 1.0
"""Norm that gradients are clipped to where features are learnt by CIDER. At the full rate its prototypes fall together
in the first steps; the official code warms up for ten epochs."""


def kth_distances(queries: Tensor, rows: Tensor, k: int) -> Tensor:  # (c, n, d), (c, q, d) -> (c, n)
    """Return the distance of each query to its k-th nearest row of the same class; its own row counts where it is one.

    Source: Tao et al. 2023, https://arxiv.org/abs/2303.02966, section 3.1.
    """
    return torch.cdist(queries, rows).topk(k, dim=2, largest=False, sorted=False).values.amax(2)


def boundary(
    rows: Tensor,  # (c, q, d) of each class
    neighbours: int,
    points: int,
) -> Tensor:  # (c, points) int64
    """Return which rows of each class are farthest from the rest of it, by their k-th neighbour there.

    Source: Tao et al. 2023, https://arxiv.org/abs/2303.02966, section 3.1.
    """
    return kth_distances(rows, rows, neighbours + 1).topk(points, dim=1).indices


def farthest(
    candidates: Tensor,  # (c, p, m, d), m around each of p points of every class
    rows: Tensor,  # (c, q, d)
    neighbours: int,
    kept: int,
) -> Tensor:  # (c, p, kept, d)
    """Return the candidates around each point that are farthest from its class, by their k-th neighbour there.

    Source: Tao et al. 2023, https://arxiv.org/abs/2303.02966, section 3.1. Per point, as in the paper; the indexing of
    the official code mixes up the candidates of different points.
    """
    distances = kth_distances(candidates.flatten(1, 2), rows, neighbours).view(candidates.shape[:3])
    best = distances.topk(kept, dim=2).indices
    return candidates.gather(2, best[..., None].expand(-1, -1, -1, candidates.shape[3]))


def synthesized(
    rows: Tensor,  # (c, q, d) of unit length
    rng: np.random.Generator,
) -> Tensor:  # (m, d) of unit length, PICKED * KEPT of each class
    """Return outliers around boundary points picked at random.

        candidate = normalize(point + SIGMA e),   e standard normal

    Source: Tao et al. 2023, https://arxiv.org/abs/2303.02966, section 3.1. Differs from the official code for CIFAR,
    which adds the noise to features of any length: on the sphere, where distances are taken, SIGMA has a meaning that
    no network changes, and an outlier cannot be told by its length alone.
    """
    classes, queue, features = rows.shape
    neighbours, points, around = (max(1, round(share * queue)) for share in (NEIGHBOURS, BOUNDARY, CANDIDATES))
    outermost = boundary(rows, neighbours, points)
    order = rng.permuted(np.tile(np.arange(points), (classes, 1)), axis=1)[:, :PICKED]
    picked = outermost.gather(1, torch.from_numpy(order).to(rows.device))
    centres = rows.gather(1, picked[..., None].expand(-1, -1, features))
    noise = rng.standard_normal((*picked.shape, around, features), dtype=np.float32)
    candidates = normalize(centres[:, :, None] + SIGMA * torch.from_numpy(noise).to(rows), dim=3)
    return farthest(candidates, rows, neighbours, min(KEPT, around)).flatten(0, 2)


class NposOnCrossEntropy(Peer):
    """Cross-entropy and, once START of the training is over, the open-set loss: outliers are to be told from ID rows.

        cross-entropy + WEIGHT * binary cross-entropy of a small network on features, 1 for ID rows and 0 for outliers

    Outliers are synthesized among the features at unit length; the small network is not kept.

    Source: Tao et al. 2023, https://arxiv.org/abs/2303.02966, eq. 6, and its official code for CIFAR. Differs from
    both: features are learnt by cross-entropy, so that what outliers add can be seen apart from how `Npos` learns
    features; the small network learns at the common rate.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.rng = setting.rng
        self.waiting = round(START * setting.steps)
        self.queue = ClassQueue(setting.class_sizes, setting.features, QUEUE)
        self.tell = nn.Sequential(nn.Linear(setting.features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, network: LatentResNet, values: Tensor, labels: Tensor) -> Losses:
        """Return the losses of classes and, 0 as long as there are no outliers, the open-set loss."""
        features = network(values).features
        directions = normalize(features, dim=1)
        self.queue.push(directions, labels)
        self.waiting -= 1
        told = features.new_zeros(())
        if self.waiting < 0 and self.queue.full:
            told = self._told(directions, synthesized(self.queue.rows, self.rng))
        return {**self.closed(network, features, labels), "open_set": WEIGHT * told}

    def closed(self, network: LatentResNet, features: Tensor, labels: Tensor) -> Losses:
        """Return what teaches the ID classes, from features (n, d) and labels (n,)."""
        return {"cross_entropy": cross_entropy(network.head(features), labels)}

    def _told(self, known: Tensor, outliers: Tensor) -> Tensor:
        inputs = math.sqrt(known.shape[1]) * torch.cat([known, outliers])  # of values about 1, or it learns too slowly
        logits = self.tell(inputs)[:, 0]
        is_known = torch.arange(len(logits), device=logits.device) < len(known)
        return binary_cross_entropy_with_logits(logits, is_known.to(logits))


class Npos(NposOnCrossEntropy):
    """The same with features as in the paper, learnt by CIDER.

        compactness + DISPERSION * dispersion + WEIGHT * open-set loss

    Compactness and dispersion are those of an embedding of the features, which is not kept. The linear head learns by
    cross-entropy on features that get no gradient from it: a linear probe, since the paper's method has no head of its
    own and is scored by k-NN distance.

    Source: Tao et al. 2023, https://arxiv.org/abs/2303.02966, eq. 6 and 8, and its official code for CIFAR. Differs:
    one view of a row, since latents are not augmented; the small network learns at the common rate; clipped gradients
    in place of a warm-up.
    """

    clip = CLIP
    prototypes: Tensor  # (k, EMBEDDING)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        features = setting.features
        self.embed = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, EMBEDDING))
        self.register_buffer("prototypes", torch.zeros(setting.classes, EMBEDDING))

    def closed(self, network: LatentResNet, features: Tensor, labels: Tensor) -> Losses:
        """Return compactness, dispersion and the loss of the probe."""
        embeddings = normalize(self.embed(features), dim=1)
        prototypes = moved_prototypes(self.prototypes, embeddings, labels)
        self.prototypes = prototypes.detach()
        return {
            "compactness": compactness(embeddings, self.prototypes, labels).mean(),
            "dispersion": DISPERSION * dispersion(prototypes).mean(),
            "cross_entropy": cross_entropy(network.head(features.detach()), labels),
        }
