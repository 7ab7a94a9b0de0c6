"""A row between classes is unsure of them in its shares, as far as is asked for; any other row shows no class."""

import numpy as np
import pytest

from pipeline.params.methods.base import NOBODY
from pipeline.training.outlier_targets import outlier_targets

CLASSES = np.array([[0, 2, 3], [1, 1, 1], [NOBODY] * 3, [3, 0, NOBODY]])
SHARES = np.array([[0.5, 0.25, 0.25], [0.4, 0.3, 0.3], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], np.float32)


def loops(classes, shares, class_count, label_mix):
    """Return the equation of the docstring, number by number."""
    targets = []
    for row, of_row in zip(classes.tolist(), shares.tolist(), strict=True):
        target = [1 / class_count] * class_count
        if NOBODY not in row and len(set(row)) > 1:
            target = [(1 - label_mix) / class_count] * class_count
            for one, share in zip(row, of_row, strict=True):
                target[one] += label_mix * share
        targets.append(target)
    return targets


@pytest.mark.parametrize("label_mix", [0.0, 0.3, 1.0])
def test_targets_equal_their_equation(label_mix):
    found = outlier_targets(CLASSES, SHARES, 4, label_mix)
    np.testing.assert_allclose(found, loops(CLASSES, SHARES, 4, label_mix), atol=1e-7)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def test_the_whole_mix_is_the_label_of_mixup():
    assert outlier_targets(CLASSES[:1], SHARES[:1], 4, 1.0).tolist() == [[0.5, 0.0, 0.25, 0.25]]


def test_a_row_of_one_class_and_a_row_of_none_show_no_class():
    assert outlier_targets(CLASSES[1:], SHARES[1:], 4, 1.0).tolist() == [[0.25] * 4] * 3


def test_no_rows_have_no_targets():
    assert outlier_targets(CLASSES[:0], SHARES[:0], 4, 0.5).shape == (0, 4)
