"""A queue holds the newest rows of each class, as a list that forgets would."""

import numpy as np
import torch

from benchmarks.leaderboard.peers.class_queue import ClassQueue


def test_the_queue_holds_the_newest_rows_of_each_class():
    queue, wanted = ClassQueue((7, 3, 5), 2, 9), [[], [], []]
    rng = np.random.default_rng(0)
    for size in (1, 4, 30, 2, 5):
        features, labels = torch.from_numpy(rng.standard_normal((size, 2))).float(), rng.integers(0, 3, size)
        queue.push(features, torch.from_numpy(labels))
        for row, label in zip(features.tolist(), labels, strict=True):
            wanted[label] = [*wanted[label], row][-3:]
    assert queue.full
    assert [sorted(rows) for rows in queue.rows.tolist()] == [sorted(rows) for rows in wanted]


def test_the_queue_is_full_when_every_class_is():
    queue = ClassQueue((2, 2), 1, 9)
    queue.push(torch.ones(5, 1), torch.tensor([0, 0, 0, 1, 0]))
    assert not queue.full
    queue.push(torch.ones(1, 1), torch.tensor([1]))
    assert queue.full


def test_the_queue_keeps_no_gradient_and_is_bounded():
    queue = ClassQueue((8, 9), 1, 7)
    queue.push(torch.ones(1, 1, requires_grad=True), torch.tensor([0]))
    assert queue.rows.shape == (2, 7, 1)
    assert not queue.rows.requires_grad
