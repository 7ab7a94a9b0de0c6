"""Principal channels are those of a singular value decomposition; places are averaged; what is lost is told."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.networks.encoders.reduction import Projection, fit_reduction
from pipeline.runtime.errors import ModelError


def maps(n=12, channels=6, side=4):
    torch.manual_seed(0)
    mixing = torch.randn(channels, channels)
    return (
        torch.einsum("dc,nchw->ndhw", mixing, torch.randn(n, channels, side, side))
        + torch.arange(channels)[:, None, None]
    )


def places(values):
    return values.permute(0, 2, 3, 1).reshape(-1, values.shape[1]).double().numpy()


def test_components_span_what_the_singular_vectors_do():
    values = maps()
    found = fit_reduction(values.split(5), channels=2, side=None)
    rows = places(values)
    _, singular, vectors = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found.projection.components.numpy() @ vectors[:2].T), np.eye(2), atol=1e-5)
    assert found.variance == pytest.approx((singular[:2] ** 2).sum() / (singular**2).sum(), abs=1e-9)
    np.testing.assert_allclose(found.projection.mean.numpy(), rows.mean(0), rtol=1e-5)


def test_places_are_averaged_over_areas():
    values = maps()
    found = fit_reduction([values], channels=None, side=2)
    wanted = values.reshape(12, 6, 2, 2, 2, 2).mean((3, 5))
    assert (found.pools, found.projection) == (True, None)
    np.testing.assert_allclose(found(values).numpy(), wanted.numpy(), rtol=1e-5)
    assert torch.equal(found.undone(found(values)), found(values))


def test_the_variance_that_is_kept_is_that_of_all_places():
    """Averaging loses some, and left-out channels lose some of the rest."""
    values = maps()
    kept = values.reshape(12, 6, 2, 2, 2, 2).mean((3, 5))
    whole, averaged = (places(rows).var(0).sum() for rows in (values, kept))
    assert fit_reduction(values.split(5), channels=None, side=2).variance == pytest.approx(averaged / whole)
    rows = places(kept)
    principal = np.linalg.svd(rows - rows.mean(0), compute_uv=False)[:3] ** 2 / len(rows)
    assert fit_reduction(values.split(5), channels=3, side=2).variance == pytest.approx(principal.sum() / whole)


def test_all_channels_kept_lose_nothing_and_come_back():
    values = maps()
    found = fit_reduction([values], channels=99, side=99)
    assert (found.side, found.pools) == (4, False)
    assert found.variance == pytest.approx(1.0)
    np.testing.assert_allclose(found.undone(found(values)).numpy(), values.numpy(), atol=1e-4)


@pytest.mark.parametrize("channels", [None, 3])
def test_maps_that_do_not_vary_lose_nothing(channels):
    found = fit_reduction([torch.zeros(4, 6, 4, 4)], channels, 2)
    assert found.variance == 1.0
    assert torch.equal(found(torch.zeros(1, 6, 4, 4)), torch.zeros(1, channels or 6, 2, 2))


@pytest.mark.parametrize("seed", range(5))
def test_no_more_than_all_variance_is_kept(seed):
    torch.manual_seed(seed)
    assert 1 - 1e-9 < fit_reduction([torch.randn(7, 5, 3, 3)], channels=5, side=None).variance <= 1


def test_batches_do_not_matter():
    values = maps()
    one, many = fit_reduction([values], 3, 2), fit_reduction(values.split(1), 3, 2)
    np.testing.assert_allclose(one.projection.components.numpy(), many.projection.components.numpy(), atol=1e-5)


def test_a_saved_reduction_is_the_same(tmp_path):
    found = fit_reduction([maps()], 3, None).projection
    found.save(tmp_path)
    assert torch.equal(Projection.load(tmp_path, 3)(maps()), found(maps()))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"mean": torch.zeros(3)}, "no reduction could be read"),
        ({"mean": torch.zeros(3), "components": torch.zeros(2, 4)}, r"found mean \(3,\), components \(2, 4\)"),
        ({"mean": torch.zeros(3), "components": torch.zeros(1, 3)}, r"wanted \(c,\) and \(2, c\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, tensors, message):
    save_file(tensors, tmp_path / "reduction.safetensors")
    with pytest.raises(ModelError, match=message):
        Projection.load(tmp_path, 2)
