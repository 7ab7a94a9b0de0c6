"""The boundary of a class is where exact k-NN distances say, row by row."""

import numpy as np
import pytest
import torch

from pipeline.latents.boundary import Boundary, require_neighbours
from pipeline.runtime.errors import PipelineError
from tests.helpers import oracles

RNG = np.random.default_rng(0)
BANKS = [torch.tensor(RNG.standard_normal((size, 3))) for size in (10, 14)]


def test_radius_and_outermost_rows_follow_from_the_distances_within_a_class():
    boundary = Boundary(BANKS, neighbours=2, share=0.3)
    for label, bank in enumerate(BANKS):
        reach = [oracles.kth_distance(row, bank.tolist(), 3) for row in bank.tolist()]  # itself is the first
        kept = sorted(reach)[-round(0.3 * len(bank)) :]
        assert boundary.radii[label] == pytest.approx(kept[0])
        assert {reach[row] for row in boundary.outermost[label]} == set(kept)


def test_the_distance_to_a_class_is_that_to_its_kth_neighbour():
    rows = RNG.standard_normal((4, 3))
    found = Boundary(BANKS, neighbours=2, share=0.3).distance(torch.tensor(rows), 1)
    np.testing.assert_allclose(found, [oracles.kth_distance(row, BANKS[1].tolist(), 2) for row in rows])


def test_the_farthest_candidate_is_kept():
    candidates = torch.tensor(RNG.standard_normal((4, 5, 3)))
    kept, distances = Boundary(BANKS, neighbours=2, share=0.3).farthest(candidates, 0)
    for row in range(4):
        reach = [oracles.kth_distance(one.tolist(), BANKS[0].tolist(), 2) for one in candidates[row]]
        assert distances[row] == pytest.approx(max(reach))
        assert torch.equal(kept[row], candidates[row, int(np.argmax(reach))])


def test_all_classes_with_too_few_rows_are_named():
    require_neighbours({"cat": 4}, 3, "here")
    wanted = "here is 4, which wants 5 images of every class, but class 'emu' has 3, class 'cat' has 4: lower"
    with pytest.raises(PipelineError, match=wanted):
        require_neighbours({"dog": 9, "cat": 4, "emu": 3}, 4, "here")
