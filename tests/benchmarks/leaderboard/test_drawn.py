"""Drawn pictures are the same every time, of every kind, and not plain."""

import numpy as np
import pytest

from benchmarks.leaderboard.drawn import KINDS, SIDE, drawn_pictures


def test_the_same_seed_draws_the_same_pictures():
    first, again = ([picture.tobytes() for picture in drawn_pictures(12, seed)] for seed in (3, 3))
    assert first == again
    assert first != [picture.tobytes() for picture in drawn_pictures(12, 4)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_picture_of_a_kind_is_in_colour_and_shows_something(kind):
    for seed in range(5):
        pixels = kind(np.random.default_rng(seed))
        assert (pixels.shape, pixels.dtype) == ((SIDE, SIDE, 3), np.uint8)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1
