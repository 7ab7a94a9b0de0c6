"""Classes are different and uniform, shares make a whole, and noise has the covariance it is made from."""

import numpy as np
import pytest
import torch

from pipeline.outliers import noise
from pipeline.outliers.class_shares import convex_shares, distinct_classes, further_column_values, further_columns
from pipeline.outliers.noise import covariance_root


def test_the_other_classes_of_a_row_are_uniform_among_the_rest():
    first = np.arange(12_000) % 4
    classes = distinct_classes(first, 3, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(classes[:, 0], first)
    assert all(len({*row}) == 3 for row in classes)
    pairs = np.bincount((classes[:, 0] * 4 + classes[:, 1]), minlength=16).reshape(4, 4)
    assert (np.diag(pairs) == 0).all()
    assert pairs[~np.eye(4, dtype=bool)].min() > 900


def test_two_shares_are_uniform_in_their_range():
    shares = convex_shares(8000, 2, 0.2, 0.6, np.random.default_rng(0))
    np.testing.assert_allclose(shares.sum(1), 1)
    counts, _ = np.histogram(shares[:, 0], 4, (0.2, 0.6))
    assert counts.sum() == 8000
    assert counts.min() > 1850


@pytest.mark.parametrize("count", [3, 5])
def test_more_shares_fill_the_simplex_up_to_the_largest_allowed(count):
    shares = convex_shares(8000, count, 0.1, 0.5, np.random.default_rng(0))
    np.testing.assert_allclose(shares.sum(1), 1)
    assert 0.4 < shares.max() <= 0.5
    np.testing.assert_allclose(shares.mean(0), 1 / count, atol=0.01)


def test_only_the_third_class_and_later_ones_have_columns_of_their_own():
    assert [*further_columns(2, "class", "lam")] == []
    assert [*further_columns(4, "class", "lam")] == ["class_3", "lam_3", "class_4", "lam_4"]
    values = np.arange(8).reshape(2, 4)
    columns = further_column_values(lam=values)
    assert {name: column.tolist() for name, column in columns.items()} == {"lam_3": [2, 6], "lam_4": [3, 7]}


@pytest.mark.parametrize("rows", [5, 50])
def test_the_root_of_the_covariance_gives_the_covariance(rows):
    values = torch.randn(rows, 8, generator=torch.Generator().manual_seed(0))
    root = covariance_root(values)
    assert root.shape == (min(rows, 8), 8)
    torch.testing.assert_close(root.T @ root, values.T.cov(), rtol=1e-4, atol=1e-5)
    assert (root.diagonal() >= 0).all()


@pytest.mark.parametrize("rows", [5, 50])
def test_rows_factored_in_blocks_have_the_same_root(rows, monkeypatch):
    values = torch.randn(rows, 8, generator=torch.Generator().manual_seed(0))
    whole = covariance_root(values)
    monkeypatch.setattr(noise, "BLOCK_ROWS", 3)
    torch.testing.assert_close(covariance_root(values), whole, rtol=1e-5, atol=1e-6)
