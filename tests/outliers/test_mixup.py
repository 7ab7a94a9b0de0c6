"""Mixing takes different classes, in equal parts of each kind, and says truly what each row is made of."""

import math

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.outliers.method import Parents, block_generator, block_rows
from pipeline.outliers.methods.mixup import Mixup, slerp
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.mixup import MixupParams
from pipeline.runtime.errors import PipelineError
from pipeline.store.format import Standardisation
from tests.helpers.make import SPACE, latents_store

KINDS = ("linear", "spherical", "masked", "channels")
MIXUP = MixupParams(rows=256, kinds=KINDS, classes=2, lam_min=0.3, lam_max=0.7)
ONE_CHANNEL = Standardisation(mean=(0.0,), std=(1.0,))


@pytest.fixture
def parents(tmp_path):
    return Parents(load_id_train(latents_store(tmp_path / "id", classes=4)), torch.device("cpu"))


def make(parents, *kinds, **changes):
    """Return a block and, of each of its rows, the kind."""
    params = MIXUP.model_copy(update={"kinds": kinds or KINDS} | changes)
    made = Mixup(parents, params).block(block_rows(0), block_generator(0, "test", 0))
    return made, np.array(params.kinds)[made.method]


def test_classes_take_turns_cross_and_are_those_of_the_parents(parents):
    made, _ = make(parents)
    np.testing.assert_array_equal(made.class_a, np.arange(256) % 4)
    pairs = {(a, b) for a, b in zip(made.class_a, made.class_b, strict=True)}
    assert pairs == {(a, b) for a in range(4) for b in range(4) if a != b}
    np.testing.assert_array_equal(parents.labels[made.parent_a], made.class_a)
    np.testing.assert_array_equal(parents.labels[made.parent_b], made.class_b)
    assert made.values.shape == (256, *SPACE.shape)


def test_every_kind_has_the_same_share_of_every_class(parents):
    made, kinds = make(parents)
    counts = [(kinds[made.class_a == label] == kind).sum() for kind in KINDS for label in range(4)]
    assert counts == [16] * 16


def test_shares_cover_their_range_and_stay_in_it(parents):
    made, _ = make(parents, "linear", "spherical")
    assert made.lam.min() == pytest.approx(0.3, abs=0.02)
    assert made.lam.max() == pytest.approx(0.7, abs=0.02)
    assert 0.3 <= made.lam.min() <= made.lam.max() <= 0.7


def test_a_linear_mix_is_the_convex_combination_it_records(parents):
    made, _ = make(parents, "linear")
    for row in range(5):
        a, b, lam = parents.values[made.parent_a[row]], parents.values[made.parent_b[row]], float(made.lam[row])
        torch.testing.assert_close(made.values[row], lam * a + (1 - lam) * b)


def test_a_spherical_mix_lies_on_the_great_circle_at_the_share_it_records(parents):
    made, _ = make(parents, "spherical")
    for row in range(5):
        a, b = (parents.values[parent[row]].flatten().tolist() for parent in (made.parent_a, made.parent_b))
        angle = math.acos(sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b)))
        of_a, of_b = (math.sin(share * angle) / math.sin(angle) for share in (made.lam[row], 1 - made.lam[row]))
        wanted = [of_a * x + of_b * y for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(made.values[row].flatten(), wanted, rtol=1e-4, atol=1e-5)


def test_a_spherical_mix_keeps_the_norm_that_a_linear_one_loses(parents):
    mixed = [make(parents, kind)[0].values for kind in ("linear", "spherical")]
    linear, spherical, known = (float(rows.flatten(1).norm(dim=1).mean()) for rows in (*mixed, parents.values))
    assert linear < 0.9 * known
    assert spherical == pytest.approx(known, rel=0.05)


def test_slerp_of_parallel_rows_is_their_lerp():
    a = torch.ones(1, 4, 1, 1)
    torch.testing.assert_close(slerp(a, 2 * a, torch.full((1, 1, 1, 1), 0.25)), 1.25 * a)


def test_a_masked_mix_pastes_a_rectangle_of_the_size_it_records(parents):
    made, _ = make(parents, "masked")
    for row in range(256):
        a, b = parents.values[made.parent_a[row]], parents.values[made.parent_b[row]]
        from_b = (made.values[row] == b).all(0)
        assert torch.equal(from_b, ~(made.values[row] == a).all(0))
        rows, columns = torch.where(from_b)
        area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        assert 0 < int(from_b.sum()) == int(area) < 16
        assert made.lam[row] == pytest.approx(1 - int(area) / 16)
    assert set((16 * made.lam).round().astype(int)) == {7, 8, 10}  # 3 x 3, 2 x 4, 2 x 3


def test_a_channel_mix_takes_whole_channels_as_many_as_it_records(parents):
    made, _ = make(parents, "channels")
    for row in range(256):
        a, b = parents.values[made.parent_a[row]], parents.values[made.parent_b[row]]
        from_b = (made.values[row] == b).flatten(1).all(1)
        assert torch.equal(from_b, ~(made.values[row] == a).flatten(1).all(1))
        assert made.lam[row] == 1 - from_b.sum() / 4 == 0.5  # the only share of four channels in 0.3..0.7


@pytest.mark.parametrize("kind", ["linear", "spherical"])
def test_three_classes_meet_with_shares_that_make_a_whole(parents, kind):
    made, _ = make(parents, kind, classes=3)
    third, lam = made.extra["class_3"], np.stack([made.lam, made.extra["lam_3"]], axis=1)
    assert all(len({*row}) == 3 for row in zip(made.class_a, made.class_b, third, strict=True))
    np.testing.assert_array_equal(parents.labels[made.extra["parent_3"]], third)
    assert lam.max() <= 0.7
    assert 1 - lam.sum(1).min() <= 0.7
    assert lam.min() > 0


def test_a_linear_mix_of_three_is_the_convex_combination_it_records(parents):
    made, _ = make(parents, "linear", classes=3)
    for row in range(5):
        values = [parents.values[parent[row]] for parent in (made.parent_a, made.parent_b, made.extra["parent_3"])]
        shares = [made.lam[row], 1 - made.lam[row] - made.extra["lam_3"][row], made.extra["lam_3"][row]]
        wanted = sum(float(share) * value for share, value in zip(shares, values, strict=True))
        torch.testing.assert_close(made.values[row], wanted)


def test_a_masked_row_among_mixes_of_three_has_no_third_class(parents):
    made, kinds = make(parents, "linear", "masked", classes=3)
    masked = kinds == "masked"
    assert set(made.extra["class_3"][masked]) == set(made.extra["parent_3"][masked]) == {NOBODY}
    assert set(made.extra["lam_3"][masked]) == {0}
    assert (made.extra["class_3"][~masked] >= 0).all()


@pytest.mark.parametrize(
    ("kind", "what"), [("masked", "rectangle of 1 x 1 latents"), ("channels", "choice of 1 channels")]
)
def test_latents_too_small_for_a_kind_are_refused(tmp_path, kind, what):
    space = SPACE.model_copy(update={"shape": (1, 1, 1)})
    small = Parents(
        load_id_train(latents_store(tmp_path / "small", space=space, standardisation=ONE_CHANNEL)),
        torch.device("cpu"),
    )
    with pytest.raises(PipelineError, match=f"no {what} leaves a share of 0.3 to 0.7.*take '{kind}' out of kinds"):
        make(small, kind)
    make(small, "linear")


def test_more_classes_than_there_are_are_refused(parents):
    with pytest.raises(PipelineError, match="classes is 5, but there are 4 ID classes"):
        make(parents, "linear", classes=5)
