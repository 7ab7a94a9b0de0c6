"""Rows come from memory-mapped shards in any order, and only from shards that are whole."""

import numpy as np
import pytest

from pipeline.runtime.errors import DamagedStoreError
from pipeline.store import format as layout
from pipeline.store.pool import RowPool
from pipeline.store.reader import Store
from tests.helpers.make import outliers_store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "SHARD_BYTES", 256 * 128)
    return outliers_store(tmp_path / "s", rows=600)


@pytest.mark.parametrize("rows", [[], [0], [599, 0, 300, 300, 255, 256], list(range(600))])
def test_rows_come_in_the_order_they_were_asked_for(folder, rows):
    rows = np.array(rows, np.int64)
    np.testing.assert_array_equal(RowPool(folder).take(rows), Store(folder).latents()[rows])


def test_it_is_as_long_as_the_store(folder):
    assert len(RowPool(folder)) == 600


def test_a_shard_is_checked_when_it_is_first_needed(folder):
    path = folder / layout.chunk_file("latent", 1)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    pool = RowPool(folder)
    pool.take(np.array([0, 599]))
    with pytest.raises(DamagedStoreError, match="latent/c/1/0/0/0: found CRC-32C"):
        pool.take(np.array([256]))


@pytest.mark.parametrize("row", [-1, 600, 10**6])
def test_a_row_that_is_not_there_is_a_bug(folder, row):
    with pytest.raises(IndexError):
        RowPool(folder).take(np.array([row]))
