"""A replicate counts an image as often in every set of every split that has it."""

import numpy as np

from benchmarks.leaderboard.population import Population

FIRST = {"id_test": np.array([7, 3, 9, 1]), "held_out": np.array([20, 22]), "noise": np.array([30, 31])}
OTHER = {"id_test": np.array([22, 9, 20, 3, 5]), "held_out": np.array([7, 1]), "noise": np.array([31, 30])}


def drawn(split, seed=0, blocks=(64, 36)):
    """How often each image counts in each replicate, by content hash."""
    draw = Population([FIRST, OTHER]).draw(split, seed)
    images = {}
    for one in map(draw, blocks):
        for name, counts in (("id_test", one.id_images), *one.ood_images.items()):
            for content, row in zip(split[name], counts, strict=True):
                images.setdefault(int(content), []).append(row)
    return {content: np.concatenate(rows) for content, rows in images.items()}


def test_an_image_counts_alike_wherever_it_is():
    first, other = drawn(FIRST), drawn(OTHER)
    assert set(first) & set(other) == {1, 3, 7, 9, 20, 22, 30, 31}
    for content in set(first) & set(other):
        np.testing.assert_array_equal(first[content], other[content])


def test_as_many_are_drawn_as_there_are_images():
    every = drawn(FIRST) | drawn(OTHER)
    assert len(every) == 9
    np.testing.assert_array_equal(sum(every.values()), np.full(100, 9))


def test_an_image_counts_once_on_average_and_about_as_often_as_in_drawing_one_by_one():
    """Of nine draws each is it with one in nine: the mean is 1 and the variance 8 / 9."""
    counts = np.stack([*drawn(FIRST, blocks=[4000]).values()])
    np.testing.assert_allclose(counts.mean(1), 1, atol=0.06)
    np.testing.assert_allclose(counts.var(1), 8 / 9, atol=0.12)


def test_another_seed_draws_others():
    first, other = drawn(FIRST), drawn(FIRST, seed=1)
    assert any((first[content] != other[content]).any() for content in first)


def test_an_image_that_a_set_has_twice_counts_alike_in_both_places():
    twice = {"id_test": np.array([4, 8, 4]), "noise": np.array([1])}
    counts = Population([twice]).draw(twice, 0)(50).id_images
    np.testing.assert_array_equal(counts[0], counts[2])
    assert (counts[0] != counts[1]).any()
