"""Boundary points and outliers of NPOS are the rows with the largest k-NN distance, found by loops."""

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from benchmarks.leaderboard.peers.cider import compactness, dispersion, moved_prototypes
from benchmarks.leaderboard.peers.npos import (
    DISPERSION,
    EMBEDDING,
    KEPT,
    PICKED,
    SIGMA,
    WEIGHT,
    Npos,
    NposOnCrossEntropy,
    boundary,
    farthest,
    synthesized,
)
from benchmarks.leaderboard.peers.setting import Setting
from pipeline.networks.resnet import LatentResNet
from pipeline.params.networks import LinearParams, NetworkParams
from tests.helpers.oracles import kth_distance

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((3, 9, 4))


def largest(values, count):
    return sorted(range(len(values)), key=lambda index: -values[index])[:count]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return LatentResNet(4, 2, NetworkParams(width=8, blocks=(1,), latent_mean=False), LinearParams(kind="linear"))


@pytest.mark.parametrize(("neighbours", "points"), [(1, 2), (3, 4)])
def test_boundary_points_are_the_rows_farthest_from_the_others_of_their_class(neighbours, points):
    found = boundary(torch.from_numpy(ROWS), neighbours, points).tolist()
    for rows, chosen in zip(ROWS.tolist(), found, strict=True):
        far = [kth_distance(row, [other for other in rows if other is not row], neighbours) for row in rows]
        assert [far[row] for row in chosen] == sorted(far, reverse=True)[:points]  # of mutual neighbours either
        assert len(set(chosen)) == points


def test_the_farthest_candidates_around_each_point_are_kept():
    candidates = RNG.standard_normal((3, 2, 5, 4))
    found = farthest(torch.from_numpy(candidates), torch.from_numpy(ROWS), 2, 3).numpy()
    for label, point in np.ndindex(3, 2):
        around = candidates[label, point]
        far = [kth_distance(row, ROWS[label], 2) for row in around.tolist()]
        np.testing.assert_array_equal(found[label, point], around[largest(far, 3)])


def test_outliers_surround_boundary_points_of_every_class_on_the_sphere():
    rows = normalize(torch.from_numpy(RNG.standard_normal((3, 100, 4))).float() / 3 + torch.eye(4)[:3, None], dim=2)
    outliers = synthesized(rows, np.random.default_rng(0)).view(3, PICKED, KEPT, 4)
    torch.testing.assert_close(outliers.norm(dim=3), torch.ones(3, PICKED, KEPT))
    outermost = boundary(rows, 10, 5)
    for label in range(3):
        nearest = torch.cdist(outliers[label], rows[label, outermost[label]]).amin(2)
        assert nearest.max() < 6 * SIGMA


def test_different_boundary_points_are_picked():
    rows = normalize(torch.from_numpy(RNG.standard_normal((1, 100, 64))).float(), dim=2)
    picked = []
    for seed in range(30):
        outliers = synthesized(rows, np.random.default_rng(seed))
        picked.append(set(torch.cdist(outliers, rows[0]).argmin(1).tolist()))
    assert {len(points) for points in picked} == {PICKED}
    assert set().union(*picked) == set(boundary(rows, 10, 5)[0].tolist())


@pytest.mark.parametrize("method", [Npos, NposOnCrossEntropy])
def test_outliers_come_after_the_start_and_are_told_from_id_rows(network, method):
    peer = method(Setting((3, 3), 8, 10, np.random.default_rng(0), None))
    values, labels = torch.randn(6, 4, 4, 4), torch.tensor([0, 1] * 3)
    steps = [peer(network, values, labels) for _ in range(5)]
    assert [float(step["open_set"].detach()) > 0 for step in steps] == [False] * 4 + [True]
    known = normalize(network(values).features, dim=1)
    outliers = synthesized(torch.stack([known[::2], known[1::2]]), np.random.default_rng(0))
    told = peer.tell(8**0.5 * torch.cat([known, outliers]))[:, 0]
    wanted = binary_cross_entropy_with_logits(told, torch.tensor([1.0] * 6 + [0.0] * len(outliers)))
    torch.testing.assert_close(steps[4]["open_set"], WEIGHT * wanted)


def test_a_step_moves_the_prototypes_before_rows_are_drawn_to_them(network):
    peer = Npos(Setting((3, 3), 8, 10, np.random.default_rng(0), None))
    values, labels, before = torch.randn(6, 4, 4, 4), torch.tensor([0, 1] * 3), torch.zeros(2, EMBEDDING)
    for _ in range(2):
        embeddings = normalize(peer.embed(network(values).features), dim=1)
        losses = peer(network, values, labels)
        before = moved_prototypes(before, embeddings, labels).detach()
        torch.testing.assert_close(peer.prototypes, before)
        torch.testing.assert_close(losses["compactness"], compactness(embeddings, before, labels).mean())
        torch.testing.assert_close(losses["dispersion"], DISPERSION * dispersion(before).mean())


def test_only_the_head_learns_from_the_probe_of_npos(network):
    peer = Npos(Setting((3, 3), 8, 10, np.random.default_rng(0), None))
    peer(network, torch.randn(6, 4, 4, 4), torch.tensor([0, 1] * 3))["cross_entropy"].backward()
    assert {name for name, value in network.named_parameters() if value.grad is not None} == {
        "head.weight",
        "head.bias",
    }
