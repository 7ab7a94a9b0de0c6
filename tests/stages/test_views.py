"""Stage `views` encodes what the view function draws, and nothing where none are asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.images.image_set import from_8_bits
from pipeline.latents.augmentation import ViewKey, view
from pipeline.params.data import DataParams
from pipeline.params.encode import ViewsParams
from pipeline.store.reader import Store
from stages.views import views
from tests.helpers.make import default_params, section, tiny_params, write_params
from tests.helpers.models import write_encoder

OUT, ENCODER = Path("views"), Path("encoder")
FLIPPED = {"count": 2, "smallest_crop": 0.7, "flip": 0.5, "colour": 0.2, "gray": 0.1, "seed": 3}


@pytest.fixture
def saved():
    torch.manual_seed(0)
    return write_encoder(ENCODER)


def made(output=OUT, **changes):
    views(ENCODER, output, write_params(Path(), tiny_params(**changes)))


def test_none_are_made_where_none_are_asked_for(saved):
    made()
    assert {path.name for path in OUT.iterdir()} == {"views.json", "manifest.json"}


def test_rows_are_the_encoded_views_image_by_image(saved):
    made(views=FLIPPED)
    store, params = Store(OUT / "store"), section(ViewsParams, FLIPPED)
    images = section(DataParams, tiny_params()["data"]).open("id_train")
    assert store.rows == 2 * len(images)
    assert store.column("label").tolist() == np.repeat(images.labels, 2).tolist()
    for row in (0, 1, 2 * len(images) - 1):
        pixels = view(images.read(row // 2).convert("RGB"), 32, params, ViewKey(3, row // 2, row % 2))
        wanted = saved.encoder.encode(torch.from_numpy(from_8_bits(pixels)).permute(2, 0, 1)[None]).numpy()
        np.testing.assert_allclose(store.latents()[row : row + 1].astype(np.float32), wanted, rtol=2e-3, atol=1e-3)


def test_the_default_makes_none():
    assert default_params()["views"]["count"] == 0
    assert section(ViewsParams, default_params()["views"]).count == 0
