"""Inside a graph a picture is resized as Pillow resizes it."""

import numpy as np
import pytest
from PIL import Image

from pipeline.detector.as_onnx.resizing import resizing_graph
from pipeline.images.image_set import resized
from tests.detector.as_onnx.make import session_of

pytest.importorskip("onnxruntime")


SIDES = (8, 31, 63, 64, 65, 90, 128, 200, 300)
RARE = 0.002
"""Share of values that may differ by a level or two: both sum in integers, with weights that are rounded otherwise."""


def by_graph(session, picture):
    (planes,) = session.run(None, {"pixels": picture[None]})
    return planes[0].transpose(1, 2, 0)


@pytest.mark.parametrize("size", [32, 64, 224])
def test_pictures_of_any_shape_are_those_of_pillow(size):
    """Of noise, whose values are cut off between the two passes, so that their order shows."""
    session, rng = session_of(resizing_graph(size)), np.random.default_rng(0)
    for height in SIDES:
        for width in SIDES:
            picture = rng.integers(0, 256, (height, width, 3), np.uint8)
            apart = np.abs(by_graph(session, picture).astype(int) - resized(Image.fromarray(picture), size))
            assert apart.max() <= 2, (height, width)
            assert (apart > 0).mean() < RARE, (height, width)


def test_a_picture_of_the_size_is_not_resampled():
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert (by_graph(session_of(resizing_graph(32)), picture) == picture).all()


def test_a_batch_is_resized_as_each_of_its_pictures():
    session = session_of(resizing_graph(32))
    batch = np.random.default_rng(0).integers(0, 256, (3, 50, 40, 3), np.uint8)
    (planes,) = session.run(None, {"pixels": batch})
    assert planes.shape == (3, 3, 32, 32)
    for picture, found in zip(batch, planes, strict=True):
        assert (found.transpose(1, 2, 0) == by_graph(session, picture)).all()
