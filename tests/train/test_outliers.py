"""Training sees every method alike, every row once per round, and no store that was made for something else."""

from collections import Counter

import numpy as np
import pytest
import torch

from pipeline.errors import IncompatibleStoreError
from pipeline.store.format import Standardisation
from pipeline.store.reader import Store
from pipeline.train.outliers import OutlierBatches, open_outliers
from tests.make import SPACE, latents_store, outliers_store


@pytest.fixture
def id_train(tmp_path):
    return Store(latents_store(tmp_path / "id")).header


def test_stores_like_the_latents_are_read(tmp_path, id_train):
    pools = open_outliers([outliers_store(tmp_path / "s")], id_train)
    batch = OutlierBatches(pools, 40, torch.Generator()).draw()
    assert (batch.shape, batch.dtype) == ((40, 4, 4, 4), torch.float32)
    assert sorted(batch.flatten().tolist()) == sorted(Store(tmp_path / "s").latents().flatten().tolist())


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"space": SPACE.model_copy(update={"autoencoder": "other"})}, "autoencoder is 'other', wanted 'abc'"),
        ({"space": SPACE.model_copy(update={"scaling_factor": 2.0})}, "scaling_factor is 2.0, wanted 0.5"),
        ({"classes": 4}, "its class list is"),
        ({"standardisation": Standardisation(mean=(1.0,) * 4, std=(1.0,) * 4)}, "its standardisation is"),
    ],
)
def test_stores_of_something_else_are_refused(tmp_path, id_train, difference, message):
    with pytest.raises(IncompatibleStoreError, match=message):
        open_outliers([outliers_store(tmp_path / "s", **difference)], id_train)


class Numbered:
    """Rows whose only value is their number."""

    def __init__(self, rows, offset):
        self.values = (offset + np.arange(rows, dtype=np.float16))[:, None, None, None]

    def __len__(self):
        return len(self.values)

    def take(self, rows):
        return self.values[rows]


@pytest.mark.parametrize("batch_size", [1, 2, 8, 9])
def test_every_method_gives_the_same_number_of_rows(batch_size):
    batches = OutlierBatches([Numbered(50, 0), Numbered(7, 100), Numbered(9, 200)], batch_size, torch.Generator())
    drawn = [Counter(int(value) // 100 for value in batches.draw().flatten()) for _ in range(30)]
    assert all(sum(origin.values()) == batch_size for origin in drawn)
    assert all(max(origin.values()) - batch_size // 3 <= 1 for origin in drawn)
    assert sum(drawn, Counter()) == dict.fromkeys(range(3), 10 * batch_size)


def test_every_row_is_drawn_once_before_any_is_drawn_again():
    batches = OutlierBatches([Numbered(7, 0)], 3, torch.Generator().manual_seed(0))
    drawn = [int(value) for _ in range(7) for value in batches.draw().flatten()]
    assert all(sorted(drawn[start : start + 7]) == list(range(7)) for start in (0, 7, 14))
