"""CIDER's prototypes and losses equal their equations."""

import math

import numpy as np
import torch

from benchmarks.leaderboard.peers.cider import MOMENTUM, TEMPERATURE, compactness, dispersion, moved_prototypes
from tests.helpers.oracles import normalised

RNG = np.random.default_rng(0)
EMBEDDINGS = np.array([normalised(row) for row in RNG.standard_normal((6, 3))])
PROTOTYPES = np.array([normalised(row) for row in RNG.standard_normal((4, 3))])
LABELS = [0, 2, 2, 1, 2, 0]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_prototypes_are_moved_by_the_rows_of_their_class_in_turn():
    wanted = [row.copy() for row in PROTOTYPES]
    for row, label in zip(EMBEDDINGS, LABELS, strict=True):
        wanted[label] = MOMENTUM * wanted[label] + (1 - MOMENTUM) * row
    found = moved_prototypes(*map(torch.from_numpy, (PROTOTYPES, EMBEDDINGS)), torch.tensor(LABELS))
    np.testing.assert_allclose(found, [normalised(row) for row in wanted], rtol=1e-6)


def test_the_first_row_of_a_class_is_its_prototype_and_a_class_without_rows_has_none():
    found = moved_prototypes(torch.zeros(2, 3), torch.tensor([[0.0, 0.6, 0.8]]), torch.tensor([1]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.6, 0.8]]))


def test_compactness_equals_its_equation():
    wanted = []
    for row, label in zip(EMBEDDINGS, LABELS, strict=True):
        shares = [math.exp(dot(row, prototype) / TEMPERATURE) for prototype in PROTOTYPES]
        wanted.append(-math.log(shares[label] / sum(shares)))
    found = compactness(*map(torch.from_numpy, (EMBEDDINGS, PROTOTYPES)), torch.tensor(LABELS))
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_dispersion_equals_its_equation():
    wanted = []
    for c, one in enumerate(PROTOTYPES):
        others = [math.exp(dot(one, other) / TEMPERATURE) for j, other in enumerate(PROTOTYPES) if j != c]
        wanted.append(math.log(sum(others) / len(others)))
    np.testing.assert_allclose(dispersion(torch.from_numpy(PROTOTYPES)), wanted, rtol=1e-10)
